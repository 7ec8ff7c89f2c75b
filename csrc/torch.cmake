# Target torch_stable: torch's headers for the stable ABI. It doesn't use find_package(Torch), which
# fails for a CUDA build of torch without a CUDA toolkit. torch is located by its spec and never
# imported, which is faster.
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "
import importlib.util, runpy, sys
spec = importlib.util.find_spec('torch')
if spec is None:
    sys.exit('torch is not installed for this Python')
folder = spec.submodule_search_locations[0]
version = runpy.run_path(folder + '/version.py')
print(folder, version['__version__'], version['cuda'] or '-', sep=';')"
  OUTPUT_VARIABLE TORCH_INFO OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
list(GET TORCH_INFO 0 TORCH_FOLDER)
list(GET TORCH_INFO 1 TORCH_VERSION)
list(GET TORCH_INFO 2 TORCH_CUDA)
message(STATUS "torch ${TORCH_VERSION} (CUDA ${TORCH_CUDA}) in ${TORCH_FOLDER}")

add_library(torch_stable INTERFACE)
target_include_directories(torch_stable SYSTEM INTERFACE ${TORCH_FOLDER}/include)
# The target version is 2.11: one binary serves it and newer releases.
target_compile_definitions(torch_stable INTERFACE TORCH_TARGET_VERSION=0x020b000000000000)
target_link_directories(torch_stable INTERFACE ${TORCH_FOLDER}/lib)
