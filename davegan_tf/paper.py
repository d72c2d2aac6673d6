"""What the paper publishes of its studies: lengths, values and results."""

# Table 4, by the name of the material in `data.source`.
PAPER_TABLE_4 = {
    "alloy": {"E_gen": 5.66e-3, "E_rec": 4.66e-3},
    "carbonate": {"E_gen": 6.78e-3, "E_rec": 8.16e-3},
    "ceramics": {"E_gen": 1.71e-2, "E_rec": 1.01e-2},
    "checkerboard": {"E_gen": 0.0, "E_rec": 0.0},
    "copolymer": {"E_gen": 5.64e-2, "E_rec": 6.96e-2},
    "rubber": {"E_gen": 8.15e-4, "E_rec": 3.08e-4},
    "synth1": {"E_gen": 1.06e-2, "E_rec": 1.81e-2},
    "synth2": {"E_gen": 1.53e-2, "E_rec": 4.53e-3},
    "synth3": {"E_gen": 1.89e-2, "E_rec": 4.42e-3},
    "composite": {"E_gen": 3.84e-2, "E_rec": 9.71e-2},
    "sandstone": {"E_gen": 5.97e-3, "E_rec": 1.71e-2},
}
# Section 4.2: the epochs of Table 1, β within its range (Figure 3), and the β of Figure 4.
EPOCHS_OF_ELLIPSES = 200
BETAS = ("0.01", "0.1", "0.5", "1", "2", "5", "10", "35", "50")
TRAVERSED_BETAS = ("0.01", "1", "50")
