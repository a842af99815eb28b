package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"coffer/internal/config"
	"coffer/kms/audit"
)

const (
	exitFailure = 1
	exitUsage   = 2
	exitAudit   = 3
)

// cli is the command line.
type cli struct {
	Serve  serveCommand  `cmd:"" help:"Serve the store over S3. The first start makes it."`
	Mount  mountCommand  `cmd:"" help:"Mount buckets as directories, by the running server or without one."`
	Umount umountCommand `cmd:"" help:"Unmount."`
	Config struct {
		Check checkCommand `cmd:"" help:"Name every fault of the configuration, or show what is in force."`
	} `cmd:"" help:"Configuration."`
	Audit struct {
		Verify auditVerifyCommand `cmd:"" help:"Check that no line of the audit log was changed, removed or moved. The server may run."`
		List   auditListCommand   `cmd:"" help:"List what the audit log says, checking it meanwhile."`
	} `cmd:"" help:"The record of who used which key."`
	Unlock struct {
		List   unlockListCommand   `cmd:"" help:"List the slots. Needs no secret."`
		Add    unlockAddCommand    `cmd:"" help:"Add a slot: another secret that unlocks the store."`
		Remove unlockRemoveCommand `cmd:"" help:"Remove a slot, never the last one."`
		Change unlockChangeCommand `cmd:"" help:"Give a slot a new secret."`
	} `cmd:"" help:"Secrets that unlock the store."`
	Keys    keysCommands   `cmd:"" help:"Keys of a running server."`
	KMS     kmsCommands    `cmd:"" name:"kms" help:"Key backend of a running server."`
	Rewrap  rewrapCommands `cmd:"" help:"Rewrap of a bucket, by a running server."`
	Census  censusCommand  `cmd:"" help:"Count what depends on which version of which key."`
	Inspect inspectCommand `cmd:"" help:"Tell how an object is sealed."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

const description = `Encrypted object store with an S3 API.

A flag with a variable shown beside it is a setting: it has that environment variable, and a line of the same name without dashes in the configuration file. A flag wins over a variable, a variable over the file. No flag takes a secret. Where HOME is not set, the configuration directory is /etc/coffer, the data directory /var/lib/coffer, and that of the audit log /var/log/coffer/audit. Names that begin with kms- stand in the section kms of the file, without that beginning.`

// streams are the standard streams of the process.
type streams struct {
	in       *os.File
	out, err io.Writer
}

func main() {
	std := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	if filepath.Base(os.Args[0]) == fstabName {
		os.Exit(runFstab(os.Args[1:], std))
	}
	os.Exit(run(os.Args[1:], std))
}

// run does what the arguments say and gives the exit code.
func run(args []string, std streams) int {
	exited := -1
	parser, err := kong.New(&cli{},
		kong.Name("coffer"), kong.Description(description), config.HelpVars(config.System(nil)),
		kong.ValueFormatter(config.FlagHelp()), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(std.out, std.err), kong.Exit(func(code int) { exited = code }), kong.Bind(std),
		kong.ExplicitGroups([]kong.Group{
			{Key: "places", Title: "Places:"}, {Key: "server", Title: "Server:"},
			{Key: "kms", Title: "Key backend:"}, {Key: "mount", Title: "Mounts:"}, {Key: "audit", Title: "Audit log:"}, {Key: "unlock", Title: "Unlocking the store:"}, {Key: "new secret", Title: "The new secret:"},
		}))
	if err != nil {
		fmt.Fprintf(std.err, "coffer: %v\n", err)
		return exitFailure
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if exited >= 0 { // help was asked for and given
		return exited
	}
	if err != nil {
		fmt.Fprintf(std.err, "coffer: %v; see coffer --help\n", err)
		return exitUsage
	}
	return report(kctx.Run(), std.err)
}

// report prints an error and gives the exit code.
func report(err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		fmt.Fprintf(w, "coffer: the configuration has %d fault(s):\n%v\n", len(faults), faults)
		return exitUsage
	}
	fmt.Fprintf(w, "coffer: %v\n", err)
	if _, ok := errors.AsType[*audit.Fault](err); ok {
		return exitAudit
	}
	return exitFailure
}

type versionCommand struct{}

// Run prints what the build knows about itself.
func (versionCommand) Run(std streams) error {
	_, err := fmt.Fprintf(std.out, "coffer %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the version of the main module, which the build takes from the
// repository.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
