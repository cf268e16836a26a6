package fake

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// request acts on a whole request; it holds c.mu.
func (c *apnsConn) request(s *apnsStream) error {
	c.apns.stats.requests.Add(1)
	token := strings.ToLower(strings.TrimPrefix(s.req.path, "/3/device/"))
	fault, hit := c.apns.Faults.Take(token)
	if !hit {
		return c.answer(s)
	}
	if fault.Kind == Drip {
		return c.drip(s, fault)
	}
	if fault.Delay <= 0 {
		return c.fail(s, fault)
	}
	c.later(s, fault.Delay, func() error { return c.fail(s, fault) })
	return nil
}

// later calls f with c.mu held, unless the stream is over by then.
func (c *apnsConn) later(s *apnsStream, d time.Duration, f func() error) {
	s.timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		var err error
		if c.streams[s.id] == s {
			err = f()
		}
		c.mu.Unlock()
		if err != nil {
			c.close()
		}
		c.wakeWriter()
	})
}

// drip answers with the body byte by byte.
func (c *apnsConn) drip(s *apnsStream, f Fault) error {
	c.lastTaken = max(c.lastTaken, s.id)
	if err := c.begin(s, f.Status, f.Header, f.Body == ""); err != nil || f.Body == "" {
		c.drop(s.id)
		return err
	}
	c.later(s, f.Delay, func() error { return c.dripOne(s, f) })
	return nil
}

// dripOne sends the first byte of the body, and the others in their time.
func (c *apnsConn) dripOne(s *apnsStream, f Fault) error {
	last := len(f.Body) == 1
	if err := c.framer.WriteData(s.id, last, []byte(f.Body[:1])); err != nil {
		return err
	}
	if last {
		c.drop(s.id)
		return nil
	}
	f.Body = f.Body[1:]
	c.later(s, f.Delay, func() error { return c.dripOne(s, f) })
	return nil
}

// answer does what APNs does.
func (c *apnsConn) answer(s *apnsStream) error {
	now := time.Now()
	reason, since := c.verdict(&s.req, now)
	if reason != "" {
		return c.reject(s, reason, since)
	}
	c.taken(s, now)
	if !c.raised {
		c.raised = true
		if err := c.announce(c.apns.opts.MaxStreams); err != nil {
			return err
		}
	}
	header := map[string]string{"apns-id": s.req.id}
	if c.apns.opts.Sandbox {
		header["apns-unique-id"] = newID()
	}
	return c.respond(s, 200, header, "")
}

// verdict is the reason to refuse r, or empty. The provider token comes before
// the device: Apple does not document the order, and pushes to devices that do
// not exist are a usual way to check a credential.
func (c *apnsConn) verdict(r *apnsRequest, now time.Time) (string, time.Time) {
	if reason := r.check(); reason != "" {
		return reason, time.Time{}
	}
	if reason := c.apns.authorize(c, r.authorization, r.topic, now); reason != "" {
		return reason, time.Time{}
	}
	if !c.apns.opts.Light {
		if reason, since := c.apns.checkDevice(r, now); reason != "" {
			return reason, since
		}
	}
	return r.checkBody(c.apns.opts.Light), time.Time{}
}

func (c *apnsConn) taken(s *apnsStream, now time.Time) {
	if s.req.id == "" {
		s.req.id = newID()
	}
	c.lastTaken = max(c.lastTaken, s.id)
	c.apns.take(&s.req, now)
}

func (c *apnsConn) reject(s *apnsStream, reason string, since time.Time) error {
	c.lastTaken = max(c.lastTaken, s.id)
	c.apns.stats.reason(reason)
	body := apnsReason(reason)
	if !since.IsZero() {
		body = fmt.Sprintf(`{"reason":%q,"timestamp":%d}`, reason, since.UnixMilli())
	}
	id := s.req.id
	if id == "" {
		id = newID()
	}
	return c.respond(s, apnsStatus[reason], map[string]string{"apns-id": id, "content-type": "application/json"}, body)
}

// announce changes the limit of concurrent streams.
func (c *apnsConn) announce(limit uint32) error {
	c.limit = limit
	return c.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: limit})
}

// fail carries a scripted fault out; it holds c.mu.
func (c *apnsConn) fail(s *apnsStream, f Fault) error {
	switch f.Kind {
	case Streams:
		if err := c.announce(f.MaxStreams); err != nil {
			return err
		}
		c.raised = true
		return c.answer(s)
	case Answer:
		c.lastTaken = max(c.lastTaken, s.id)
		return c.respond(s, f.Status, f.Header, f.Body)
	case Hang:
		c.lastTaken = max(c.lastTaken, s.id)
		return nil
	case Cut:
		c.takeSilently(s)
		return errCut
	case Abort:
		return c.abort(s)
	case Reset:
		c.drop(s.id)
		return c.framer.WriteRSTStream(s.id, http2.ErrCodeInternal)
	case Refuse:
		c.drop(s.id)
		return c.framer.WriteRSTStream(s.id, http2.ErrCodeRefusedStream)
	case Goaway:
		c.drop(s.id)
		c.goaway(c.lastTaken, f.Body)
		return nil
	case Freeze:
		c.frozen = true
		return nil
	case Slow, Drip:
	}
	return c.answer(s)
}

// errCut ends the connection without a goodbye.
var errCut = fmt.Errorf("fake apns: connection cut by script")

// takeSilently records the push, if it is good, and answers nothing.
func (c *apnsConn) takeSilently(s *apnsStream) {
	now := time.Now()
	if reason, _ := c.verdict(&s.req, now); reason == "" {
		c.taken(s, now)
	}
}

// abort answers 200, half a body, and a reset.
func (c *apnsConn) abort(s *apnsStream) error {
	c.takeSilently(s)
	c.header.Reset()
	c.field(":status", "200")
	c.field("content-type", "application/json")
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: c.header.Bytes(), EndHeaders: true})
	if err == nil {
		err = c.framer.WriteData(s.id, false, []byte(`{"rea`))
	}
	if err == nil {
		err = c.framer.WriteRSTStream(s.id, http2.ErrCodeInternal)
	}
	c.drop(s.id)
	return err
}
