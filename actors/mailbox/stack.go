package mailbox

// turnStack is what a turn may need of its goroutine's stack, bytes. A new
// goroutine begins with 2 KiB and copies all of its stack, frame by frame, each
// time it doubles, which costs more than a short turn.
const turnStack = 12 << 10

// spread makes the stack large enough for a turn while there is nothing on it to
// copy: it is the frame of this function that has to fit, of which nothing is used.
//
//go:noinline
func spread(use bool) (b byte) {
	if use {
		var room [turnStack]byte
		for i := range room {
			room[i] = b
			b += room[i/2]
		}
	}
	return b
}
