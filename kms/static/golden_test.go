package static_test

// Wrapped by format 1 under the key 07 07 … 07 with the id "lab". Never made anew.
const (
	goldenInstance   = "139d865de7595ed04f62158594575d4a"
	goldenCiphertext = "AQG2mlR7py8sjTjDllvGOi+3L3ufJKuAyoeKZ6Ns0KiuHSs8bSN+X7O+DB2sidaSYlS7AkH9LRdLnI99NqqZ3hSOMG/4o0a0Vhk="
)
