/* Generates a microstructure with an exported SavedModel, without Python: the library is the one in TensorFlow's wheel.

   Export a model, compile, run (Linux; on macOS the libraries end in .2.dylib):

     python -m cli export alloy --out exported/alloy
     TF=$(python -c 'import importlib.util as u; print(u.find_spec("tensorflow").submodule_search_locations[0])')
     cc -std=c11 -Wall -I"$TF/include" -o generate examples/c/generate.c \
        "$TF/libtensorflow_cc.so.2" "$TF/libtensorflow_framework.so.2" -Wl,-rpath,"$TF"
     ./generate exported/alloy 0 > structure.pgm

   The seed, here 0, gives the structure that `python -m cli generate alloy --count 1 --seed 0` gives. The file is a
   portable grey map (PGM), phases as grey levels from black to white. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

/* The signatures' tensors in the graph; README.md beside the export lists them all. */
#define SEED "sample_seed"
#define COUNT "sample_count"
#define LABELS "StatefulPartitionedCall_3"
#define PROBABILITIES "StatefulPartitionedCall_1"

static void check(const char *what, TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s: %s\n", what, TF_Message(status));
    exit(1);
  }
}

/* An output of a graph's operation. */
static TF_Output tensor(TF_Graph *graph, const char *operation) {
  TF_Output output = {TF_GraphOperationByName(graph, operation), 0};
  if (output.oper == NULL) {
    fprintf(stderr, "the model has no operation %s; see the README.md beside it\n", operation);
    exit(1);
  }
  return output;
}

static TF_Tensor *scalar(int64_t value) {
  TF_Tensor *made = TF_AllocateTensor(TF_INT64, NULL, 0, sizeof value);
  memcpy(TF_TensorData(made), &value, sizeof value);
  return made;
}

/* Channels of the model's images: one for two phases, else one per phase. */
static int64_t channels(TF_Graph *graph, TF_Status *status) {
  int64_t shape[4];
  TF_GraphGetTensorShape(graph, tensor(graph, PROBABILITIES), shape, 4, status);
  check("shape of an image", status);
  return shape[3];
}

/* Labels (height, width) as a binary PGM, whose largest grey level may be any number up to 255. */
static void write_pgm(FILE *file, const uint8_t *labels, int64_t height, int64_t width, int64_t largest) {
  fprintf(file, "P5\n%lld %lld\n%lld\n", (long long)width, (long long)height, (long long)largest);
  fwrite(labels, 1, (size_t)(height * width), file);
}

int main(int argc, char **argv) {
  char *end = NULL;
  int64_t seed = argc == 3 ? strtoll(argv[2], &end, 10) : -1;
  if (argc != 3 || *argv[2] == '\0' || *end != '\0' || seed < 0) {
    fprintf(stderr, "usage: %s SAVEDMODEL SEED > structure.pgm\n", argv[0]);
    return 2;
  }
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(argv[1], status);

  TF_Output inputs[] = {tensor(graph, SEED), tensor(graph, COUNT)};
  TF_Output outputs[] = {tensor(graph, LABELS)};
  TF_Tensor *given[] = {scalar(seed), scalar(1)};
  TF_Tensor *made[1];
  TF_SessionRun(session, NULL, inputs, given, 2, outputs, made, 1, NULL, 0, NULL, status);
  check("sample", status);

  /* (1, height, width), row by row. */
  int64_t depth = channels(graph, status);
  write_pgm(stdout, TF_TensorData(made[0]), TF_Dim(made[0], 1), TF_Dim(made[0], 2),
            depth == 1 ? 1 : depth - 1);

  TF_DeleteTensor(made[0]);
  TF_DeleteTensor(given[0]);
  TF_DeleteTensor(given[1]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
