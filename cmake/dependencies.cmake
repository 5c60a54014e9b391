# What Sluice is built on, all from Debian packages; scripts/packages lists them.

find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(MARIADB REQUIRED IMPORTED_TARGET libmariadb)
find_library(ZOOKEEPER_LIBRARY zookeeper_st REQUIRED)  # the single-threaded one
find_package(OpenSSL REQUIRED)
find_library(PG_QUERY_LIBRARY pg_query REQUIRED)
# The parse tree's node layouts; they must be of the major version that libpg_query was made from.
find_path(PG_SERVER_INCLUDE nodes/parsenodes.h PATHS /usr/include/postgresql/15/server NO_DEFAULT_PATH REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(TCMALLOC REQUIRED IMPORTED_TARGET libtcmalloc_minimal)
find_package(Boost REQUIRED)  # headers only: Beast's HTTP parser
if(SLUICE_TESTS)
  find_package(GTest REQUIRED)
endif()
