# Target torch_stable: torch's headers for the stable ABI. No find_package(Torch): with a CUDA build of torch it fails on
# machines that have no CUDA toolkit. torch is found by its spec and never imported, which is faster.
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
target_compile_definitions(torch_stable INTERFACE TORCH_TARGET_VERSION=0x020b000000000000)  # 2.11 and newer
target_link_directories(torch_stable INTERFACE ${TORCH_FOLDER}/lib)
