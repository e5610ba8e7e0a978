/* One rank of the benchmark of allreduce, in MPI; see collectives_program.ts. */

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static void fill(float *buffer, int floats) {
  for (int i = 0; i < floats; i++) buffer[i] = 1e-3f;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, at = 0, used, floats, warmup, calls, samples;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  while (sscanf(argv[1] + at, "%d:%d:%d:%d%n", &floats, &warmup, &calls, &samples, &used) == 4) {
    float *buffer = malloc(sizeof(float) * floats);
    double *times = malloc(sizeof(double) * samples), *slowest = malloc(sizeof(double) * samples);
    fill(buffer, floats);
    for (int i = 0; i < warmup; i++)
      MPI_Allreduce(MPI_IN_PLACE, buffer, floats, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    for (int sample = 0; sample < samples; sample++) {
      fill(buffer, floats);
      MPI_Barrier(MPI_COMM_WORLD);
      double start = MPI_Wtime();
      for (int call = 0; call < calls; call++)
        MPI_Allreduce(MPI_IN_PLACE, buffer, floats, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
      times[sample] = (MPI_Wtime() - start) / calls * 1e3;
    }
    MPI_Reduce(times, slowest, samples, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    if (rank == 0) {
      printf("{\"floats\": %d, \"times\": [", floats);
      for (int i = 0; i < samples; i++) printf("%s%.6f", i ? ", " : "", slowest[i]);
      printf("]}\n");
      fflush(stdout);
    }
    free(buffer), free(times), free(slowest);
    at += used;
    if (argv[1][at] == ',') at++;
  }
  MPI_Finalize();
}
