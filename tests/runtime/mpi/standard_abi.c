/* An MPI library with the ABI of MPI 5.0 (chapter 20; the header of mpi-forum/mpi-abi-stubs), of the calls
 * that the transport makes, over Open MPI's. It takes the standard's constants and no others: whoever passes
 * another library's gets an error or the end of the process. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *handle;

enum { COMM_WORLD = 0x101, ERRORS_RETURN = 0x142, REQUEST_NULL = 0x180, BYTE = 0x247 };
enum { THREAD_FUNNELED = 1024, ERR_ARG = 13, UNDEFINED = -32766, LARGEST_CONSTANT = 0xfff };

static void *library;

static void *find(const char *name) {
  if (library == NULL) library = dlopen("libmpi.so.40", RTLD_NOW | RTLD_GLOBAL);
  void *found = library == NULL ? NULL : dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "standard_abi: %s\n", dlerror());
    abort();
  }
  return found;
}

/* What stands in Open MPI for a constant of the standard; what no constant can be is Open MPI's own. */
static handle own(handle value, uintptr_t constant, const char *name) {
  if ((uintptr_t)value == constant) return find(name);
  if ((uintptr_t)value > LARGEST_CONSTANT) return value;
  fprintf(stderr, "standard_abi: 0x%lx is not 0x%lx\n", (long)(uintptr_t)value, (long)constant);
  abort();
}

static handle communicator(handle value) { return own(value, COMM_WORLD, "ompi_mpi_comm_world"); }
static handle type(handle value) { return own(value, BYTE, "ompi_mpi_byte"); }
static handle request(handle value) { return own(value, REQUEST_NULL, "ompi_request_null"); }

static handle standard_request(handle value) {
  return value == find("ompi_request_null") ? (handle)(uintptr_t)REQUEST_NULL : value;
}

int MPI_Abi_get_version(int *major, int *minor) {
  *major = 1;
  *minor = 0;
  return 0;
}

int MPI_Init_thread(int *argc, char ***argv, int wanted, int *given) {
  if (wanted != THREAD_FUNNELED) return ERR_ARG;
  int (*call)(int *, char ***, int, int *) = find("MPI_Init_thread");
  int code = call(argc, argv, 1, given);
  *given = THREAD_FUNNELED;
  return code;
}

int MPI_Finalize(void) { return ((int (*)(void))find("MPI_Finalize"))(); }

int MPI_Abort(handle comm, int code) {
  return ((int (*)(handle, int))find("MPI_Abort"))(communicator(comm), code);
}

int MPI_Error_string(int code, char *text, int *length) {
  return ((int (*)(int, char *, int *))find("MPI_Error_string"))(code, text, length);
}

int MPI_Get_library_version(char *text, int *length) {
  *length = snprintf(text, 64, "the standard ABI over Open MPI");
  return 0;
}

int MPI_Get_processor_name(char *text, int *length) {
  return ((int (*)(char *, int *))find("MPI_Get_processor_name"))(text, length);
}

int MPI_Comm_rank(handle comm, int *rank) {
  return ((int (*)(handle, int *))find("MPI_Comm_rank"))(communicator(comm), rank);
}

int MPI_Comm_size(handle comm, int *size) {
  return ((int (*)(handle, int *))find("MPI_Comm_size"))(communicator(comm), size);
}

int MPI_Comm_dup(handle comm, handle *copy) {
  return ((int (*)(handle, handle *))find("MPI_Comm_dup"))(communicator(comm), copy);
}

int MPI_Comm_set_errhandler(handle comm, handle errors) {
  int (*call)(handle, handle) = find("MPI_Comm_set_errhandler");
  return call(communicator(comm), own(errors, ERRORS_RETURN, "ompi_mpi_errors_return"));
}

int MPI_Allgather(const void *from, int n, handle t, void *to, int m, handle u, handle comm) {
  int (*call)(const void *, int, handle, void *, int, handle, handle) = find("MPI_Allgather");
  return call(from, n, type(t), to, m, type(u), communicator(comm));
}

int MPI_Isend(const void *at, int n, handle t, int to, int tag, handle comm, handle *made) {
  int (*call)(const void *, int, handle, int, int, handle, handle *) = find("MPI_Isend");
  return call(at, n, type(t), to, tag, communicator(comm), made);
}

int MPI_Irecv(void *at, int n, handle t, int from, int tag, handle comm, handle *made) {
  int (*call)(void *, int, handle, int, int, handle, handle *) = find("MPI_Irecv");
  return call(at, n, type(t), from, tag, communicator(comm), made);
}

int MPI_Ibarrier(handle comm, handle *made) {
  return ((int (*)(handle, handle *))find("MPI_Ibarrier"))(communicator(comm), made);
}

int MPI_Testsome(int n, handle *requests, int *count, int *indices, void *statuses) {
  if (statuses != NULL) return ERR_ARG; /* MPI_STATUSES_IGNORE is 0 */
  int (*call)(int, handle *, int *, int *, void *) = find("MPI_Testsome");
  handle *all = malloc(n * sizeof *all);
  for (int i = 0; i < n; i++) all[i] = request(requests[i]);
  int code = call(n, all, count, indices, NULL);
  for (int i = 0; i < n; i++) requests[i] = standard_request(all[i]);
  if (*count < 0) *count = UNDEFINED;
  free(all);
  return code;
}

int MPI_Cancel(handle *made) { return ((int (*)(handle *))find("MPI_Cancel"))(made); }

int MPI_Request_free(handle *made) {
  int code = ((int (*)(handle *))find("MPI_Request_free"))(made);
  *made = (handle)(uintptr_t)REQUEST_NULL;
  return code;
}
