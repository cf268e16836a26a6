package app

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/backup"
)

// backup writes an archive of all that this node holds.
func (n *Node) backup(_ context.Context, w io.Writer) error {
	_, err := backup.Write(w, n.store, backup.Options{Seal: backup.Fingerprint(n.ring), Now: time.Now()})
	if errors.Is(err, backup.ErrPartial) {
		return &actors.Refusal{Detail: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, Message: err.Error()}}
	}
	return err
}
