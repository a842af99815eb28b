package badgerdb

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logger hands Badger's messages to slog. Badger formats errors with keys in
// them ("DB::Get key: ..."), but returns those and does not log them.
type logger struct{ log *slog.Logger }

func newLogger(l *slog.Logger) logger {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return logger{log: l}
}

// Errorf implements badger.Logger.
func (l logger) Errorf(format string, args ...any) { l.write(slog.LevelError, format, args) }

// Warningf implements badger.Logger.
func (l logger) Warningf(format string, args ...any) { l.write(slog.LevelWarn, format, args) }

// Infof implements badger.Logger. What Badger finds worth telling is of no use
// to an operator.
func (l logger) Infof(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

// Debugf implements badger.Logger. Badger calls it for every write, with keys.
func (l logger) Debugf(string, ...any) {}

func (l logger) write(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	l.log.Log(ctx, level, "badger", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
