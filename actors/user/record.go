package user

import (
	"fmt"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// The user record is a protobuf message, written by hand for speed:
//
//	1 version = 1 · 2 device* · 3 policy kind · 4 policy delay ms · 5 days (first<<16 | second) ·
//	  6 settings · 7 conversations with settings · 8 banned ·
//	  9 numbers of commands, 8 bytes each · 10 the newest of them at s
//	device: 1 id · 2 platform · 3 brand · 4 package · 5 app version · 6 locale · 7 zone ·
//	  8 state · 9 node · 10 incarnation · 11 session · 12 step · 13 last seen s · 14 count · 15 binding* ·
//	  16 count reset at ms · 17 badge base · 18 rounds of the count
//	binding: 1 notifier · 2 sealed token · 3 token sum · 4 bound at ms · 5 last reason · 6 last at ms ·
//	  7 marketing (day<<16 | count)
//
// Zero values are left out. Numbers are never used again for something else;
// unknown ones are skipped. A golden test pins the bytes.
const recordVersion = 1

// Encode appends the record.
func (s *State) Encode(b []byte) []byte {
	b = putInt(b, 1, uint32(recordVersion))
	var buf [1024]byte
	for i := range s.Devices {
		b = putBytes(b, 2, s.Devices[i].encode(buf[:0]))
	}
	b = putInt(b, 3, s.Policy.Kind)
	b = putInt(b, 4, s.Policy.Delay.Milliseconds())
	b = putInt(b, 5, uint32(s.Days[0])<<16|uint32(s.Days[1]))
	if set := s.Settings.encode(buf[:0]); len(set) > 0 {
		b = putBytes(b, 6, set)
	}
	b = putInt(b, 7, s.Conversations)
	if s.Banned {
		b = putInt(b, 8, uint32(1))
	}
	if s.Ops != "" {
		b = putString(b, 9, s.Ops)
		b = putInt(b, 10, s.OpsAt)
	}
	return b
}

func (d *Device) encode(b []byte) []byte {
	b = putString(b, 1, d.ID)
	b = putInt(b, 2, d.Info.Platform)
	b = putString(b, 3, d.Info.Brand)
	b = putString(b, 4, d.Info.Package)
	b = putString(b, 5, d.Info.Version)
	b = putString(b, 6, d.Info.Lang)
	b = putString(b, 7, d.Info.Zone)
	b = putInt(b, 8, d.State)
	b = putString(b, 9, d.Node)
	b = putInt(b, 10, d.Inc)
	b = putInt(b, 11, d.Session)
	b = putInt(b, 12, d.Step)
	b = putInt(b, 13, d.LastSeen)
	b = putInt(b, 14, d.Count)
	var buf [512]byte
	for i := range d.Bindings {
		b = putBytes(b, 15, d.Bindings[i].encode(buf[:0]))
	}
	b = putInt(b, 16, d.ResetAt)
	b = putInt(b, 17, d.Base)
	return putInt(b, 18, d.Round)
}

func (x *Binding) encode(b []byte) []byte {
	b = putString(b, 1, x.Notifier)
	b = putString(b, 2, x.Sealed)
	b = putBytes(b, 3, x.Sum[:])
	b = putInt(b, 4, x.BoundAt)
	b = putInt(b, 5, x.LastReason)
	b = putInt(b, 6, x.LastAt)
	return putInt(b, 7, uint32(x.Marketing.Day)<<16|uint32(x.Marketing.Count))
}

// Decode replaces the state by the record's, reusing the state's memory; its
// strings alias rec. Pending is left empty.
func (s *State) Decode(rec string) error {
	devices, windows := s.Devices[:0], s.Settings.Windows[:0]
	*s = State{Known: true, Settings: Settings{Windows: windows}}
	r := reader{s: rec}
	for {
		f, n, b, ok := r.next()
		if !ok {
			break
		}
		switch f {
		case 1:
			if n != recordVersion {
				return fmt.Errorf("user: record of version %d, this program knows %d", n, recordVersion)
			}
		case 2:
			devices = grow(devices)
			if err := devices[len(devices)-1].decode(b); err != nil {
				return err
			}
		case 3:
			s.Policy.Kind = rousev1.MultiDevicePolicy(n)
		case 4:
			s.Policy.Delay = time.Duration(n) * time.Millisecond
		case 5:
			s.Days = [2]uint16{uint16(n >> 16), uint16(n)}
		case 6:
			if err := s.Settings.decode(b); err != nil {
				return err
			}
		case 7:
			s.Conversations = uint32(n)
		case 8:
			s.Banned = n != 0
		case 9:
			s.Ops = b
		case 10:
			s.OpsAt = int64(n)
		}
	}
	s.Devices = devices
	return r.err
}

// decodeDays reads State.Days alone.
func decodeDays(rec string) (days [2]uint16, err error) {
	r := reader{s: rec}
	for {
		switch f, n, _, ok := r.next(); {
		case !ok:
			return days, r.err
		case f == 5:
			return [2]uint16{uint16(n >> 16), uint16(n)}, nil
		}
	}
}

// decodeConversations reads State.Conversations alone; 0 of a damaged record,
// as decoding all of it tells.
func decodeConversations(rec string) uint32 {
	r := reader{s: rec}
	for {
		switch f, n, _, ok := r.next(); {
		case !ok:
			return 0
		case f == 7:
			return uint32(n)
		}
	}
}

// grow lengthens a slice by one element, whose old memory may be reused.
func grow[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}

func (d *Device) decode(rec string) error {
	bindings := d.Bindings[:0]
	*d = Device{}
	r := reader{s: rec}
	for {
		f, n, b, ok := r.next()
		if !ok {
			break
		}
		if f == 15 {
			bindings = grow(bindings)
			if err := bindings[len(bindings)-1].decode(b); err != nil {
				return err
			}
			continue
		}
		d.set(int(f), n, b)
	}
	d.Bindings = bindings
	return r.err
}

func (d *Device) set(f int, n uint64, b string) {
	switch f {
	case 1:
		d.ID = b
	case 2:
		d.Info.Platform = rousev1.Platform(n)
	case 3:
		d.Info.Brand = b
	case 4:
		d.Info.Package = b
	case 5:
		d.Info.Version = b
	case 6:
		d.Info.Lang = b
	case 7:
		d.Info.Zone = b
	case 8:
		d.State = rousev1.SessionState(n)
	case 9:
		d.Node = b
	case 10:
		d.Inc = n
	case 11:
		d.Session = n
	case 12:
		d.Step = n
	case 13:
		d.LastSeen = int64(n)
	case 14:
		d.Count = uint32(n)
	case 16:
		d.ResetAt = int64(n)
	case 17:
		d.Base = uint32(n)
	case 18:
		d.Round = uint32(n)
	}
}

func (x *Binding) decode(rec string) error {
	*x = Binding{}
	r := reader{s: rec}
	for {
		f, n, b, ok := r.next()
		if !ok {
			return r.err
		}
		switch f {
		case 1:
			x.Notifier = b
		case 2:
			x.Sealed = b
		case 3:
			if len(b) != len(x.Sum) {
				return errCorrupt
			}
			x.Sum = Sum([]byte(b))
		case 4:
			x.BoundAt = int64(n)
		case 5:
			x.LastReason = rousev1.Reason(n)
		case 6:
			x.LastAt = int64(n)
		case 7:
			x.Marketing = Ledger{Day: uint16(n >> 16), Count: uint16(n)}
		}
	}
}
