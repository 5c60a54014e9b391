# What Sluice is built on, all from Debian packages; scripts/packages lists them.

find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
find_package(Boost REQUIRED)  # headers only: Beast's HTTP parser
if(SLUICE_TESTS)
  find_package(GTest REQUIRED)
endif()
