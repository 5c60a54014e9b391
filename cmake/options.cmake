# Compiler flags that every target of ours gets, and the one way to declare a library or a test.

add_library(sluice_options INTERFACE)
target_include_directories(sluice_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(sluice_options INTERFACE -Wall -Wextra -Wpedantic $<$<BOOL:${SLUICE_WERROR}>:-Werror>)

if(SLUICE_SANITIZE)
  # Instrumented, g++ 12 takes the inactive members of a std::variant for uninitialized ones.
  target_compile_options(sluice_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_compile_options(-fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SLUICE_SANITIZE})
endif()

# What an attacker has to get past in the program that users run; docs/security.md has what it costs. Without -fcf-protection:
# Debian 12's start-up files are not marked for it, so no program there can turn it on.
if(CMAKE_BUILD_TYPE STREQUAL RelWithDebInfo AND NOT SLUICE_SANITIZE)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection)
  add_compile_definitions(_FORTIFY_SOURCE=3 _GLIBCXX_ASSERTIONS)
  add_link_options(-Wl,-z,relro,-z,now)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# sluice_library(NAME SOURCES... [LINK targets...])
function(sluice_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC sluice_options ${ARG_LINK})
endfunction()

# sluice_test(NAME SOURCES... [LINK targets...] [TIMEOUT seconds]): a GoogleTest program, one ctest entry.
function(sluice_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE sluice_options ${ARG_LINK} GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS unit)
  add_dependencies(asan_tests ${name})
  add_dependencies(tsan_tests ${name})
endfunction()

# What scripts/test builds of the other presets.
add_custom_target(asan_tests)
add_custom_target(tsan_tests)
add_custom_target(fuzz_targets)  # part of asan_tests
add_dependencies(asan_tests fuzz_targets)

# sluice_fuzz(NAME SOURCE [LINK targets...]): a libFuzzer target in the asan preset; elsewhere a plain
# program that runs the corpus in tests/fuzz/corpus/NAME once, as an ordinary test.
if(SLUICE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
function(sluice_fuzz name source)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  set_property(GLOBAL APPEND PROPERTY SLUICE_FUZZ_TARGETS ${name})
  if(SLUICE_FUZZ)
    add_executable(${name}_fuzz ${source})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets ${name}_fuzz)
  else()
    add_executable(${name}_fuzz ${source} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.cc)
    add_test(NAME ${name}_corpus COMMAND ${name}_fuzz ${corpus})
    set_tests_properties(${name}_corpus PROPERTIES TIMEOUT 120 LABELS "unit;corpus")
  endif()
  target_link_libraries(${name}_fuzz PRIVATE sluice_options ${ARG_LINK})
endfunction()
