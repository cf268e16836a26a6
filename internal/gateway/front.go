package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// front stands before Connect: it admits the caller before the body is read,
// and refuses unary bodies that are too large or malformed with a typed error,
// which Connect itself would not. For that it decodes them once more.
func (g *Gateway) front(rpc http.Handler) http.Handler {
	errorWriter := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		method := r.URL.Path
		ctx, err := g.admit(r.Context(), method, read(r.Header.Get), start)
		if err == nil {
			r = r.WithContext(ctx)
			err = g.readBody(w, r, g.inputs[method])
		}
		if err != nil {
			err = g.ended(r.Context(), method, start, err)
			errorWriter.Write(w, r, asConnect(err)) //nolint:errcheck // the caller is gone
			return
		}
		rpc.ServeHTTP(w, r)
	})
}

// readBody checks the body of a unary Connect call and puts it back. The bodies
// of streams and of gRPC are read message by message, by Connect.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, input protoreflect.MessageType) error {
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || contentType != "application/json" && contentType != "application/proto" {
		return nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "the body is compressed; send it as it is")
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyTime)) //nolint:errcheck // HTTP/1 and 2 both can
	defer control.SetReadDeadline(time.Time{})        //nolint:errcheck // as above
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(g.RequestBytes)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuse(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, "the body is larger than %d bytes; send less at a time", g.RequestBytes)
	case err != nil:
		return refuse(rousev1.ErrorCode_ERROR_CODE_DEADLINE, "the body did not arrive in time")
	}
	message := input.New().Interface()
	if contentType == "application/json" {
		err = strictJSON{}.Unmarshal(body, message)
	} else if proto.Unmarshal(body, message) != nil {
		err = errors.New("the body is no " + string(message.ProtoReflect().Descriptor().FullName()))
	}
	if err != nil {
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "%s", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// strictJSON is a codec that refuses unknown fields: a misspelt setting must not
// be lost in silence. Its errors never quote values.
type strictJSON struct{ name string }

// Name implements connect.Codec.
func (c strictJSON) Name() string { return c.name }

// Marshal implements connect.Codec.
func (strictJSON) Marshal(m any) ([]byte, error) { return protojson.Marshal(m.(proto.Message)) }

// Unmarshal implements connect.Codec. An empty body is an empty message.
func (strictJSON) Unmarshal(body []byte, m any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := protojson.Unmarshal(body, m.(proto.Message)); err != nil {
		return errors.New(jsonFault(err.Error()))
	}
	return nil
}

var (
	// protojson.Unmarshal says "(line 1:12): unknown field \"x\"".
	jsonPlace   = regexp.MustCompile(`\(line \d+:\d+\)`)
	jsonUnknown = regexp.MustCompile(`unknown field "([A-Za-z0-9_.\[\]/-]{1,64})"`)
	jsonField   = regexp.MustCompile(`for (?:[a-z0-9]+ )?field ([A-Za-z0-9_.]{1,64})`)
)

// jsonFault keeps place and field of protojson's text, and drops the rest: it
// quotes what was sent.
func jsonFault(text string) string {
	place := jsonPlace.FindString(text)
	if place != "" {
		place = " " + place
	}
	if m := jsonUnknown.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("unknown field %q%s; correct its name or leave it out", m[1], place)
	}
	if m := jsonField.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("field %s holds a value of another type%s", m[1], place)
	}
	return "the body is no JSON of this request" + place
}

// asMessage is the message of a Connect request.
func asMessage(r connect.AnyRequest) proto.Message { return r.Any().(proto.Message) }

// asConnect turns the refusals that ended returns into errors of Connect.
func asConnect(err error) error {
	if err == nil {
		return nil
	}
	r, _ := asRefusal(err)
	return r.connectError()
}
