// Command validateproto writes buf/validate/validate.proto, printed from the
// descriptor that the Go module carries, below the folder named by its
// argument: the schema registry that usually serves the file is not needed.
package main

import (
	"fmt"
	"os"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/desc"
	"github.com/jhump/protoreflect/desc/protoprint"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: validateproto DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "validateproto:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	fd, err := desc.LoadFileDescriptor("buf/validate/validate.proto")
	if err != nil {
		return fmt.Errorf("load descriptor: %w", err)
	}
	p := &protoprint.Printer{}
	return p.PrintProtosToFileSystem([]*desc.FileDescriptor{fd}, dir)
}
