"""A text sent to a server as it stands, several statements and all, on a connection of its own: by the client libraries that the gateway
itself is linked with, for no driver leaves a text alone."""

import ctypes


class PostgresSession:
    """`run` answers an SQLSTATE, "00000" where all went well; `rows` the rows of one query, as text."""

    lib = None

    def __init__(self, port, user="app", database="app"):
        if PostgresSession.lib is None:
            lib = PostgresSession.lib = ctypes.CDLL("libpq.so.5")
            lib.PQconnectdb.restype = lib.PQexec.restype = ctypes.c_void_p
            lib.PQresultErrorField.restype = lib.PQgetvalue.restype = ctypes.c_char_p
            lib.PQsetNoticeProcessor.restype = None
            lib.silent = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda context, text: None)
        self.connection = ctypes.c_void_p(self.lib.PQconnectdb(f"host=127.0.0.1 port={port} user={user} dbname={database} connect_timeout=5".encode()))
        if self.lib.PQstatus(self.connection):
            raise RuntimeError(f"no connection to port {port}: {self.lib.mysql_error(self.handle).decode()}")
        self.lib.PQsetNoticeProcessor(self.connection, self.lib.silent, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.lib.PQfinish(self.connection)

    def _exec(self, text):
        return ctypes.c_void_p(self.lib.PQexec(self.connection, text.encode()))

    def run(self, text):
        result = self._exec(text)
        state = self.lib.PQresultErrorField(result, ord("C"))
        copies = self.lib.PQresultStatus(result) in (3, 4)  # such a connection is of no more use
        self.lib.PQclear(result)
        return "COPY" if copies else (state or b"00000").decode()

    def rows(self, text):
        result = self._exec(text)
        state = self.lib.PQresultErrorField(result, ord("C"))
        out = [[self.lib.PQgetvalue(result, row, column).decode() for column in range(self.lib.PQnfields(result))] for row in range(self.lib.PQntuples(result))]
        self.lib.PQclear(result)
        return [[f"error {state.decode()}"]] if state else out


class MariaDbSession:
    """`run` answers the number of the first error, 0 where all went well; `rows` the rows of one query, as text."""

    lib = None

    def __init__(self, port, user="app", database="app"):
        if MariaDbSession.lib is None:
            lib = MariaDbSession.lib = ctypes.CDLL("libmariadb.so.3")
            lib.mysql_init.restype = lib.mysql_real_connect.restype = lib.mysql_store_result.restype = ctypes.c_void_p
            lib.mysql_error.restype = ctypes.c_char_p
            lib.mysql_fetch_row.restype = ctypes.POINTER(ctypes.c_char_p)
        self.handle = ctypes.c_void_p(self.lib.mysql_init(None))
        multi_statements = 1 << 16
        if not self.lib.mysql_real_connect(self.handle, b"127.0.0.1", user.encode(), None, database.encode(), port, None, ctypes.c_ulong(multi_statements)):
            raise RuntimeError(f"no connection to port {port}: {self.lib.mysql_error(self.handle).decode()}")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.lib.mysql_close(self.handle)

    def _results(self, text):
        text = text.encode()
        code = self.lib.mysql_real_query(self.handle, text, ctypes.c_ulong(len(text)))
        while code == 0:
            result = ctypes.c_void_p(self.lib.mysql_store_result(self.handle))
            yield result
            if result:
                self.lib.mysql_free_result(result)
            code = self.lib.mysql_next_result(self.handle)  # -1: there are no more

    def run(self, text):
        for result in self._results(text):
            pass
        return self.lib.mysql_errno(self.handle)

    def rows(self, text):
        out = []
        for result in self._results(text):
            while result and (row := self.lib.mysql_fetch_row(result)):
                out.append([(row[i] or b"NULL").decode(errors="replace") for i in range(self.lib.mysql_num_fields(result))])
        error = self.lib.mysql_errno(self.handle)
        return [[f"error {error}"]] if error else out
