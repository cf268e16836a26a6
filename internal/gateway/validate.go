package gateway

import (
	"errors"
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// files are the parts of the API that have services.
var files = []protoreflect.FileDescriptor{
	rousev1.File_rouse_v1_intake_proto, rousev1.File_rouse_v1_device_proto,
	rousev1.File_rouse_v1_user_proto, rousev1.File_rouse_v1_settings_proto,
	rousev1.File_rouse_v1_trace_proto, rousev1.File_rouse_v1_admin_proto,
	rousev1.File_rouse_v1_backup_proto,
	rousev1.File_rouse_v1_cluster_proto,
}

// eachMethod calls do for every method of the API with its full name.
func eachMethod(do func(name string, m protoreflect.MethodDescriptor)) {
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				do(fmt.Sprintf("/%s/%s", service.FullName(), m.Name()), m)
			}
		}
	}
}

// inputTypes is the request type of every method.
func inputTypes() (inputs map[string]protoreflect.MessageType, err error) {
	inputs = make(map[string]protoreflect.MessageType)
	eachMethod(func(name string, m protoreflect.MethodDescriptor) {
		input, fault := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
		inputs[name], err = input, errors.Join(err, fault)
	})
	return inputs, err
}

// newValidator compiles the rules of all requests.
func newValidator() (protovalidate.Validator, error) {
	var requests []protoreflect.MessageDescriptor
	eachMethod(func(_ string, m protoreflect.MethodDescriptor) { requests = append(requests, m.Input()) })
	return protovalidate.New(protovalidate.WithMessageDescriptors(requests...), protovalidate.WithDisableLazy())
}

// check tells what is wrong with a message, nil when nothing is.
func (g *Gateway) check(m proto.Message) *rousev1.Error {
	err := g.validator.Validate(m, protovalidate.WithFailFast())
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) || len(invalid.Violations) == 0 {
		return complaint(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "the %s cannot be checked", m.ProtoReflect().Descriptor().Name())
	}
	v := invalid.Violations[0].Proto
	return complaint(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "%s: %s", fieldPath(v.GetField()), v.GetMessage())
}

// fieldPath names a field without the keys of maps, which are the caller's data.
func fieldPath(path *validate.FieldPath) string {
	var b strings.Builder
	for i, e := range path.GetElements() {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(e.GetFieldName())
		if index, ok := e.GetSubscript().(*validate.FieldPathElement_Index); ok {
			fmt.Fprintf(&b, "[%d]", index.Index)
		}
	}
	if b.Len() == 0 {
		return "the request"
	}
	return b.String()
}
