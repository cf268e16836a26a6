package cluster

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
)

// UserKind is the one kind of virtual actors: a user of an app.
const UserKind = "user"

// Identity names a user for protoactor's cluster: the app and the user, each
// escaped as a segment of a path, so that no user id can look like another one.
func Identity(app, user string) string { return url.PathEscape(app) + "/" + url.PathEscape(user) }

// ParseIdentity undoes Identity.
func ParseIdentity(identity string) (app, user string, err error) {
	a, u, ok := strings.Cut(identity, "/")
	if !ok || a == "" || u == "" || strings.Contains(u, "/") {
		return "", "", fmt.Errorf("cluster: %q is no identity; make it with Identity(app, user)", identity)
	}
	if app, err = url.PathUnescape(a); err == nil {
		user, err = url.PathUnescape(u)
	}
	if err != nil {
		return "", "", fmt.Errorf("cluster: %q is no identity: %w", identity, err)
	}
	return app, user, nil
}

// Lookup finds the actor that takes the messages of a user: that of his shard,
// at the node that leads it. It remembers nothing and waits for nobody.
type Lookup struct {
	where func(app, user string) (shard uint16, address string, ok bool)
}

var _ protocluster.IdentityLookup = (*Lookup)(nil)

// Get returns nil for what is no user and while the leader is not known.
func (l *Lookup) Get(id *protocluster.ClusterIdentity) *actor.PID {
	if id.GetKind() != UserKind {
		return nil
	}
	app, user, err := ParseIdentity(id.GetIdentity())
	if err != nil {
		return nil
	}
	shard, address, ok := l.where(app, user)
	if !ok {
		return nil
	}
	return actor.NewPID(address, "shard-"+strconv.Itoa(int(shard)))
}

// RemovePid has nothing to forget.
func (l *Lookup) RemovePid(*protocluster.ClusterIdentity, *actor.PID) {}

// Setup has nothing to do: shards start and end with the leadership of their group.
func (l *Lookup) Setup(*protocluster.Cluster, []string, bool) {}

// Shutdown has nothing to end.
func (l *Lookup) Shutdown() {}
