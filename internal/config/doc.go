// Package config turns what the process was told into checked values.
//
// # Duty
//
// Every setting has one name. With the name tls-cert it is the flag --tls-cert,
// the environment variable COFFER_TLS_CERT, and the line "tls-cert: …" of the
// configuration file. A flag wins over a variable, a variable over the file,
// the file over the default. Load reads all three, and reports every fault that
// it finds in any of them in one error, each with the flag, the variable or the
// file and line that it comes from; a value that a stronger source overrides is
// checked all the same.
//
// The configuration file is the one that --config or COFFER_CONFIG names, else
// coffer.yaml in the configuration directory where there is one. It is a YAML
// mapping from names to values; names that do not exist, names given twice,
// aliases and further documents are faults.
//
// The settings that begin with kms- describe the key backend. Their lines stand
// in the section kms of the file without that beginning, and their variables
// are read with the prefix RUSTFS_ too; some have further names, and some are
// variables of MinIO. Those of other servers win over the file, and Coffer's own
// win over them. Two that mean the same and differ are a fault.
//
// # Secrets
//
// No flag and no line of the file takes a secret. A secret comes from a
// variable (COFFER_ROOT_PASSWORD), or from a file that a variable, a flag or a
// line names (COFFER_ROOT_PASSWORD_FILE, --root-password-file,
// root-password-file). Secrets are of type secret.Value, which prints as "[redacted]";
// no fault quotes one.
//
// # What it does not do
//
// It opens no store, calls no key backend, makes no directory and writes nothing. It is the only
// package that reads the environment.
//
// # Concurrency and ownership
//
// Load is a function without state. A Config belongs to the caller and is not
// changed afterwards.
package config
