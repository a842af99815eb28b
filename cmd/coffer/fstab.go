package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"coffer/internal/config"
)

// fstabName is the name under which mount(8) calls this program for a line of type coffer in fstab(5):
//
//	mount.coffer SOURCE DIR [-sfnv] [-o OPTIONS]
//
// SOURCE is BUCKET[/PREFIX], or coffer for all buckets.
const fstabName = "mount.coffer"

// fstabArgs turns the arguments of mount(8) into those of coffer mount. done says that there is nothing to do.
func fstabArgs(args []string) (out []string, done bool, err error) {
	var names []string
	options := ""
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "-o" || arg == "-t" || arg == "-N":
			if i++; i == len(args) {
				return nil, false, fmt.Errorf("%s wants a value", arg)
			}
			if arg == "-o" {
				options = args[i]
			}
		case strings.HasPrefix(arg, "-"):
			done = done || strings.Contains(arg, "f") // fake: all but the mount itself
		default:
			names = append(names, arg)
		}
	}
	if len(names) != 2 {
		return nil, false, errors.New("usage: " + fstabName + " SOURCE DIR [-o OPTIONS]")
	}
	flags, err := fstabFlags(options)
	target := names[1]
	if names[0] != "coffer" {
		target += "=" + names[0]
	}
	return append(append([]string{"mount", "--background"}, flags...), "--", target), done, err
}

// fstabFlags turns options into flags. Those that concern mount(8) or the kernel alone are passed over.
func fstabFlags(options string) (flags []string, err error) {
	for option := range strings.SplitSeq(options, ",") {
		name, value, valued := strings.Cut(option, "=")
		name = strings.ReplaceAll(name, "_", "-")
		switch name {
		case "uid", "gid", "umask", "entry-timeout", "memory":
			flags = append(flags, "--mount-"+name+"="+value)
		case "ro":
			flags = append(flags, "--mount-read-only")
		case "allow-other":
			flags = append(flags, "--mount-allow-other")
		case "default-permissions":
			flags = append(flags, "--mount-default-permissions=true")
		case "no-default-permissions":
			flags = append(flags, "--mount-default-permissions=false")
		case "config", "config-dir", "data":
			flags = append(flags, "--"+name+"="+value)
		case "", "rw", "defaults", "auto", "noauto", "nofail", "-netdev", "user", "users", "owner", "nouser", "group", "exec", "noexec",
			"suid", "nosuid", "dev", "nodev", "sync", "async", "relatime", "noatime", "nodiratime", "strictatime", "lazytime":
		default:
			if !strings.HasPrefix(name, "x-") && !strings.HasPrefix(name, "comment") {
				return nil, fmt.Errorf("no such option: %s", option)
			}
		}
		if !valued && strings.HasSuffix(strings.Join(flags, " "), "=") {
			return nil, fmt.Errorf("option %s wants a value", option)
		}
	}
	return flags, nil
}

// runFstab does what mount(8) asks for.
func runFstab(args []string, std streams) int {
	out, done, err := fstabArgs(args)
	if err != nil {
		fmt.Fprintf(std.err, "%s: %v\n", fstabName, err)
		return exitUsage
	}
	if done {
		return 0
	}
	return run(out, std)
}

// backgroundLog is where a mount in the background logs, in the configuration directory.
const backgroundLog = "mount.log"

// mountInBackground starts this program once more, which then serves the mount after this process has ended, and
// returns when the mount is there.
func mountInBackground(cfg *config.Config, dir string, std streams) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Home.Places.Config, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(cfg.Home.Places.Config, backgroundLog), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd := exec.Command(self, foregroundArgs(os.Args)...)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// It says one line when it is ready. Without one it has failed, and said why in the log.
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		why, _ := io.ReadAll(io.NewSectionReader(log, before, maxReason))
		return errors.Join(fmt.Errorf("the mount on %s did not come up: %s", dir, bytes.TrimSpace(why)), cmd.Wait())
	}
	_, err = fmt.Fprintf(std.out, "Mounted on %s; process %d serves it and logs to %s.\n", dir, cmd.Process.Pid, log.Name())
	return errors.Join(err, cmd.Process.Release())
}

// maxReason is how much of the log an error repeats, in bytes.
const maxReason = 4 << 10

// foregroundArgs are the arguments of a process, without the one that sends it into the background.
func foregroundArgs(args []string) []string {
	rest := args[1:]
	if filepath.Base(args[0]) == fstabName {
		rest, _, _ = fstabArgs(rest) // was understood before
	}
	kept := make([]string, 0, len(rest))
	for i, arg := range rest {
		if arg == "--" {
			return append(kept, rest[i:]...)
		}
		if arg != "--background" && arg != "--background=true" {
			kept = append(kept, arg)
		}
	}
	return kept
}
