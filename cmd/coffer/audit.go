package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"coffer/cipher"
	"coffer/internal/config"
	"coffer/internal/disk"
	"coffer/internal/home"
	"coffer/kms/audit"
	"coffer/kms/manager"
	"coffer/object"
)

// auditDrain is how long the end of the process waits for a disk that does not take the last lines.
const auditDrain = 10 * time.Second

// errAuditFull says why a server that has to record what it does is not ready.
var errAuditFull = errors.New("the audit log cannot be written")

// openAudit opens the audit log, whose head is kept beside the keys.
func (h *house) openAudit(ctx context.Context, cfg config.Audit) error {
	if !cfg.Enabled {
		h.log.Warn("nothing that is done with keys is recorded: the audit log is off")
		return nil
	}
	if err := disk.NewOS(cfg.Dir).MkdirAll("."); err != nil {
		return err
	}
	lock, err := disk.LockDir(cfg.Dir)
	if errors.Is(err, disk.ErrLocked) {
		return &home.InUseError{Dir: cfg.Dir}
	}
	if err != nil {
		return err
	}
	h.opened("lock of the audit log", lock.Unlock)
	key := h.home.Key.Derive(cipher.LabelAudit)
	defer key.Wipe()
	volume, dir := auditVolume(cfg.Dir)
	log, err := audit.Open(ctx, audit.Options{
		FS: volume, Dir: dir, Key: key, Anchor: h.home.Config, FileSize: cfg.FileSize, Files: cfg.Files, Logger: h.log,
	})
	if err != nil {
		return auditAdvice(err, cfg.Dir, h.home.Places)
	}
	h.opened("audit log", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), auditDrain)
		defer cancel()
		return log.Close(ctx)
	})
	h.audit = audit.NewGuard(audit.GuardOptions{Log: log, FailOpen: !cfg.Required})
	return nil
}

// readyToRecord makes a server not ready that has to record what it does and cannot.
func (h *house) readyToRecord(then func() error) func() error {
	if h.audit == nil {
		return then
	}
	return func() error {
		if h.audit.Ready() != nil {
			return errAuditFull
		}
		if then == nil {
			return nil
		}
		return then()
	}
}

// auditVolume gives a directory as package audit wants it: below another.
func auditVolume(dir string) (disk.Volume, string) {
	return disk.NewOS(filepath.Dir(dir)), filepath.Base(dir)
}

// auditAdvice says what can be done about a log that is not as it was written.
func auditAdvice(err error, dir string, places home.Places) error {
	if _, ok := errors.AsType[*audit.Fault](err); !ok {
		return err
	}
	return fmt.Errorf("%w; coffer audit verify tells more. Put the log in %s back. If it is lost, keep what is left of it elsewhere, remove %s, and a new log begins",
		err, dir, filepath.Join(places.Config, audit.AnchorName))
}

// recordUse records every use of a key.
func recordUse(log *audit.Guard) func(context.Context, manager.Use) error {
	if log == nil {
		return nil
	}
	return func(ctx context.Context, u manager.Use) error {
		e := audit.Event{Outcome: audit.OutcomeOf(u.Err), KeyID: u.KeyID, KeyVersion: u.Version, Instance: u.Instance, Cached: u.Cached}
		var subject object.Subject
		if subjects := object.Subjects(ctx); u.Item < len(subjects) {
			subject = subjects[u.Item]
		}
		e.Bucket, e.Object = subject.Bucket, subject.Key
		e.Operation = operationOf(u.Op, subject.Seals)
		return log.Record(ctx, e)
	}
}

// operationOf gives the word of the log for a use. seals says that a KEK which is there seals something new.
func operationOf(op string, seals bool) audit.Operation {
	switch op {
	case manager.OpGenerate:
		return audit.GenerateDataKey
	case manager.OpUnwrap:
		if seals {
			return audit.Encrypt
		}
		return audit.Decrypt
	case manager.OpRewrap:
		return audit.ReEncrypt
	case manager.OpWrap:
		return audit.Encrypt
	case manager.OpCreate:
		return audit.CreateKey
	case manager.OpProbe:
		return audit.ProbeKey
	case manager.OpStart:
		return audit.Start
	case manager.OpDestroy:
		return audit.DeleteKey
	case manager.OpRotate:
		return audit.RotateKey
	default:
		return audit.Operation(op)
	}
}
