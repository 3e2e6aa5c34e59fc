// A CUDA driver whose card is the processor: what cuda.bindings calls on the way of driver.py.
#include <dlfcn.h>
#include "exports.h"

extern "C" {
enum { SUCCESS = 0, INVALID = 1, NOT_FOUND = 500, FAILED = 719 };

int cuGetProcAddress_v2(const char* name, void** found, int, unsigned long long, int* status) {
    *found = dlsym(RTLD_DEFAULT, name);
    if (status) *status = *found ? 0 : 1;
    return *found ? SUCCESS : NOT_FOUND;
}
int cuGetErrorName(int, const char** name) { return *name = "FAKE", SUCCESS; }
int cuModuleLoadData(void** module, const void* image) {
    *module = &machine;
    return std::memcmp(image, "\x7f" "ELF", 4) == 0 ? SUCCESS : INVALID;
}
struct Function {
    std::string name;
    int shared = 48 * 1024;
};
int cuModuleGetFunction(Function** function, void* module, const char* name) {
    if (module != &machine || !kernels().count(name)) return NOT_FOUND;
    *function = new Function{name};
    return SUCCESS;
}
int cuFuncSetAttribute(Function* function, int attribute, int value) {
    if (attribute != 8) return INVALID;  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    function->shared = value;
    return SUCCESS;
}
int cuLaunchKernel(Function* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                   unsigned threads_z, unsigned shared, void* stream, void** parameters, void** extra) {
    if (z != 1 || threads_y != 1 || threads_z != 1 || stream || extra) return INVALID;
    if (static_cast<int>(shared) > function->shared) return INVALID;
    const char* error = launch(function->name.c_str(), x, y, threads, shared, parameters[0]);
    if (error) std::fprintf(stderr, "%s: %s\n", function->name.c_str(), error);
    return error ? FAILED : SUCCESS;
}
}
