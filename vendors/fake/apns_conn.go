package fake

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// maxOut bounds the bytes waiting for a slow reader; beyond, the
	// connection is closed. Bodies wait in their streams above maxOutBody.
	maxOut     = 4 << 20
	maxOutBody = 256 << 10
	// maxAPNsBody ends a request body in bytes; the answer is PayloadTooLarge.
	maxAPNsBody = 16 << 10
	// windowChunk is how many body bytes are read before the connection's
	// flow-control window is renewed.
	windowChunk = 32 << 10
)

// apnsConn is one HTTP/2 connection, spoken frame by frame: net/http's server
// can neither change SETTINGS in mid-connection nor put JSON into GOAWAY.
// One goroutine reads and answers, another writes, so that neither waits for a
// client that waits for the other.
type apnsConn struct {
	apns   *APNs
	raw    net.Conn
	conn   *tls.Conn
	framer *http2.Framer
	wake   chan struct{}
	done   chan struct{}
	once   sync.Once

	certTopic string // from the client certificate; empty = provider tokens

	mu         sync.Mutex
	out        bytes.Buffer
	header     bytes.Buffer
	encoder    *hpack.Encoder
	streams    map[uint32]*apnsStream
	limit      uint32
	raised     bool
	lastRead   uint32 // greatest stream id seen
	lastTaken  uint32 // greatest stream id answered or taken
	goodbye    bool   // GOAWAY was sent: close when the streams are done
	frozen     bool
	consumed   int // body bytes read since the last window update
	unsent     int // streams with unsent bytes
	sendWindow int64
	peerWindow int64 // the client's initial stream window
	peerFrame  int
	bearer     *apnsBearer
}

type apnsStream struct {
	id         uint32
	req        apnsRequest
	timer      *time.Timer
	sendWindow int64
	unsent     []byte
}

func newAPNsConn(a *APNs, raw net.Conn) *apnsConn {
	c := &apnsConn{
		apns: a, raw: raw, wake: make(chan struct{}, 1), done: make(chan struct{}),
		streams: map[uint32]*apnsStream{}, sendWindow: 65535, peerWindow: 65535, peerFrame: 16 << 10,
	}
	c.encoder = hpack.NewEncoder(&c.header)
	return c
}

func (c *apnsConn) close() {
	c.once.Do(func() {
		close(c.done)
		_ = c.raw.Close()
	})
}

// run serves the connection until either side ends it.
func (c *apnsConn) run() {
	defer c.close()
	reader, err := c.handshake()
	if err != nil {
		return
	}
	var writer sync.WaitGroup
	writer.Go(c.write)
	defer writer.Wait()
	defer c.close()
	c.read(reader)
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.streams {
		c.drop(id)
	}
}

func (c *apnsConn) handshake() (*bufio.Reader, error) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	c.conn = tls.Server(c.raw, c.apns.tls)
	if err := c.conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := c.conn.ConnectionState()
	if state.NegotiatedProtocol != "h2" {
		return nil, errors.New("fake apns: the client does not speak h2")
	}
	c.limit = 1
	if len(state.PeerCertificates) > 0 {
		c.certTopic, c.limit = state.PeerCertificates[0].Subject.CommonName, c.apns.opts.MaxStreams
	}
	reader := bufio.NewReaderSize(c.conn, 32<<10)
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(reader, preface); err != nil || string(preface) != http2.ClientPreface {
		return nil, errors.New("fake apns: no HTTP/2 preface")
	}
	c.apns.stats.connections.Add(1)
	c.framer = http2.NewFramer(&c.out, reader)
	c.framer.SetReuseFrames()
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = 16 << 10
	return reader, c.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: c.limit})
}

// write sends what has gathered in out, as one piece each time.
func (c *apnsConn) write() {
	var spare bytes.Buffer
	for {
		c.mu.Lock()
		spare.Reset()
		err := c.pumpAll()
		if !c.frozen {
			spare, c.out = c.out, spare
		}
		ended := c.goodbye && len(c.streams) == 0
		c.mu.Unlock()
		if err == nil && spare.Len() > 0 {
			if _, err = c.conn.Write(spare.Bytes()); err == nil {
				continue
			}
		}
		if err != nil {
			c.close()
			return
		}
		if ended {
			_ = c.conn.CloseWrite()
			c.close()
			return
		}
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
	}
}

func (c *apnsConn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// read handles frames until the connection ends.
func (c *apnsConn) read(reader *bufio.Reader) {
	c.wakeWriter()
	for {
		frame, err := c.framer.ReadFrame()
		c.mu.Lock()
		if err == nil {
			err = c.handle(frame)
		}
		if streamErr, ok := errors.AsType[http2.StreamError](err); ok {
			err = c.framer.WriteRSTStream(streamErr.StreamID, streamErr.Code)
			c.drop(streamErr.StreamID)
		}
		tooMuch := c.out.Len() > maxOut
		frozen := c.frozen
		idle := reader.Buffered() == 0 || c.out.Len() > windowChunk
		c.mu.Unlock()
		if err != nil || tooMuch {
			return
		}
		if idle {
			c.wakeWriter()
		}
		if frozen {
			// A socket would buffer what the client still writes.
			_, _ = io.Copy(io.Discard, reader)
			<-c.done
			return
		}
	}
}

// handle acts on one frame; it holds c.mu.
func (c *apnsConn) handle(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.MetaHeadersFrame:
		return c.headers(f)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		return c.framer.WritePing(true, f.Data)
	case *http2.RSTStreamFrame:
		c.drop(f.StreamID)
	case *http2.WindowUpdateFrame:
		return c.window(f)
	}
	return nil
}

func (c *apnsConn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		switch s.ID {
		case http2.SettingInitialWindowSize:
			for _, stream := range c.streams {
				stream.sendWindow += int64(s.Val) - c.peerWindow
			}
			c.peerWindow = int64(s.Val)
		case http2.SettingHeaderTableSize:
			c.encoder.SetMaxDynamicTableSizeLimit(s.Val)
		case http2.SettingMaxFrameSize:
			c.peerFrame = int(s.Val)
		}
		return s.Valid()
	})
	if err != nil {
		return err
	}
	return c.framer.WriteSettingsAck()
}

func (c *apnsConn) headers(f *http2.MetaHeadersFrame) error {
	if f.StreamID <= c.lastRead {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	c.lastRead = f.StreamID
	if c.goodbye {
		return nil
	}
	if uint32(len(c.streams)) >= c.limit {
		c.apns.stats.refused.Add(1)
		return c.framer.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream)
	}
	s := &apnsStream{id: f.StreamID, sendWindow: c.peerWindow}
	for _, field := range f.Fields {
		s.req.set(field.Name, field.Value)
	}
	c.streams[s.id] = s
	c.apns.stats.opened()
	if f.StreamEnded() {
		return c.request(s)
	}
	return nil
}

func (c *apnsConn) data(f *http2.DataFrame) error {
	if c.consumed += int(f.Length); c.consumed >= windowChunk {
		if err := c.framer.WriteWindowUpdate(0, uint32(c.consumed)); err != nil {
			return err
		}
		c.consumed = 0
	}
	s := c.streams[f.StreamID]
	if s == nil {
		return nil // refused or reset: the client did not know yet
	}
	s.req.body = append(s.req.body, f.Data()...)
	switch {
	case f.StreamEnded():
		return c.request(s)
	case len(s.req.body) > maxAPNsBody:
		if err := c.reject(s, "PayloadTooLarge", time.Time{}); err != nil {
			return err
		}
		return c.framer.WriteRSTStream(f.StreamID, http2.ErrCodeNo)
	}
	return nil
}

func (c *apnsConn) window(f *http2.WindowUpdateFrame) error {
	if s := c.streams[f.StreamID]; s != nil {
		s.sendWindow += int64(f.Increment)
		return c.pump(s)
	}
	if f.StreamID != 0 {
		return nil
	}
	c.sendWindow += int64(f.Increment)
	return c.pumpAll()
}

// respond writes an answer; the stream ends when its body is out.
func (c *apnsConn) respond(s *apnsStream, status int, header map[string]string, body string) error {
	if err := c.begin(s, status, header, body == ""); err != nil || body == "" {
		c.drop(s.id)
		return err
	}
	s.unsent = []byte(body)
	c.unsent++
	return c.pump(s)
}

// begin writes the header of an answer; ended: there is no body.
func (c *apnsConn) begin(s *apnsStream, status int, header map[string]string, ended bool) error {
	c.header.Reset()
	c.field(":status", strconv.Itoa(status))
	for name, value := range header {
		c.field(name, value)
	}
	return c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: s.id, BlockFragment: c.header.Bytes(), EndHeaders: true, EndStream: ended,
	})
}

func (c *apnsConn) field(name, value string) {
	// Writing to a bytes.Buffer cannot fail.
	_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
}

func (c *apnsConn) pumpAll() error {
	if c.unsent == 0 {
		return nil
	}
	for _, s := range c.streams {
		if err := c.pump(s); err != nil {
			return err
		}
	}
	return nil
}

// pump sends as much of the body as flow control and maxOutBody allow.
func (c *apnsConn) pump(s *apnsStream) error {
	for len(s.unsent) > 0 && c.out.Len() < maxOutBody {
		n := min(int64(len(s.unsent)), int64(c.peerFrame), s.sendWindow, c.sendWindow)
		if n <= 0 {
			return nil
		}
		chunk := s.unsent[:n]
		if s.unsent = s.unsent[n:]; len(s.unsent) == 0 {
			c.unsent--
		}
		s.sendWindow -= n
		c.sendWindow -= n
		if err := c.framer.WriteData(s.id, len(s.unsent) == 0, chunk); err != nil {
			return err
		}
		if len(s.unsent) == 0 {
			c.drop(s.id)
		}
	}
	return nil
}

// drop forgets a stream; it is safe for ids that are not open.
func (c *apnsConn) drop(id uint32) {
	s := c.streams[id]
	if s == nil {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	if len(s.unsent) > 0 {
		c.unsent--
	}
	delete(c.streams, id)
	c.apns.stats.open.Add(-1)
}

// goaway announces the end: streams above last were not processed.
func (c *apnsConn) goaway(last uint32, debug string) {
	if c.goodbye {
		return
	}
	c.goodbye = true
	_ = c.framer.WriteGoAway(last, http2.ErrCodeNo, []byte(debug))
	for id := range c.streams {
		if id > last {
			c.drop(id)
		}
	}
}

// newID is an apns-id or apns-unique-id of the fake's own making.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const digits = "0123456789abcdef"
	id := make([]byte, 0, 36)
	for i, v := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			id = append(id, '-')
		}
		id = append(id, digits[v>>4], digits[v&15])
	}
	return string(id)
}
