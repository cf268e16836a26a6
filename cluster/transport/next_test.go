//go:build nextrelease

package transport

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The next release has one more message.
func init() {
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("rouse/actor/v1/next.proto"), Package: proto.String("rouse.actor.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Next"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("text"), Number: proto.Int32(1),
				Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return // the test sees that newer is not set
	}
	kind := dynamicpb.NewMessageType(file.Messages().Get(0))
	if protoregistry.GlobalTypes.RegisterMessage(kind) != nil {
		return
	}
	types[string(kind.Descriptor().FullName())] = true
	newer = func(sys *actor.ActorSystem, to *actor.PID) {
		m := kind.New()
		m.Set(kind.Descriptor().Fields().ByName("text"), protoreflect.ValueOfString("from the future"))
		sys.Root.Send(to, m.Interface())
	}
}
