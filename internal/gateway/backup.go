package gateway

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	// backupTime bounds a backup: whoever does not read any more holds a view of
	// the store.
	backupTime = 6 * time.Hour
	// backupBytes is the most that one message of a backup carries.
	backupBytes = 256 << 10
)

// backups serves BackupService on gRPC, connectBackups on Connect.
type backups struct {
	rousev1.UnimplementedBackupServiceServer
	*Gateway
}

type connectBackups struct{ *backups }

// Backup streams an archive.
func (s *backups) Backup(_ *rousev1.BackupRequest, out grpc.ServerStreamingServer[rousev1.BackupResponse]) error {
	return s.backup(out.Context(), out.Send)
}

// Backup streams an archive.
func (s connectBackups) Backup(ctx context.Context, _ *rousev1.BackupRequest, out *connect.ServerStream[rousev1.BackupResponse]) error {
	return s.backup(ctx, out.Send)
}

func (g *Gateway) backup(ctx context.Context, send func(*rousev1.BackupResponse) error) error {
	if g.Options.Backup == nil {
		return refuse(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "this node takes no backups yet; try again in a moment")
	}
	select {
	case g.archives <- struct{}{}:
		defer func() { <-g.archives }()
	default:
		return refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, "a backup is being taken of this node; try again when it is done")
	}
	ctx, cancel := context.WithTimeout(ctx, backupTime)
	defer cancel()
	return g.Options.Backup(ctx, &parts{ctx: ctx, send: send})
}

// parts sends what is written in messages.
type parts struct {
	ctx  context.Context //nolint:containedctx // of the one call that it lives in
	send func(*rousev1.BackupResponse) error
}

func (p *parts) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if err := p.ctx.Err(); err != nil {
			return n, err
		}
		part := b[n:min(n+backupBytes, len(b))]
		if err := p.send(&rousev1.BackupResponse{Data: part}); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
