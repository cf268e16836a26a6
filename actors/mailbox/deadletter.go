package mailbox

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/extensions"
)

// RejectDeadLetters has a Rejecter told that is sent to a PID whose actor is
// gone: such a message meets no mailbox, only the dead letters of its system.
// Repeated calls for a system change nothing.
func RejectDeadLetters(sys *actor.ActorSystem) {
	watching.Lock()
	defer watching.Unlock()
	if sys.Extensions.Get(watchID) != nil {
		return
	}
	sys.Extensions.Register(watch{})
	sys.EventStream.Subscribe(func(event any) {
		if dead, ok := event.(*actor.DeadLetterEvent); ok {
			reject(dead.Message, true)
		}
	})
}

// watch marks a system that is looked after.
type watch struct{}

var (
	watching sync.Mutex
	watchID  = extensions.NextExtensionID()
)

func (watch) ExtensionID() extensions.ExtensionID { return watchID }
