// Package failpoint names the places at which crash tests end the process.
// Outside of such tests a Hit is one atomic load.
package failpoint

import "sync/atomic"

var hook atomic.Pointer[func(name string)]

// Hit tells the hook, if one is set, that the named place was reached.
func Hit(name string) {
	if h := hook.Load(); h != nil {
		(*h)(name)
	}
}

// Set installs the hook of a test process; nil removes it. The hook is called
// from many goroutines.
func Set(h func(name string)) {
	if h == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&h)
}
