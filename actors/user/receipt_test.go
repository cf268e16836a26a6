package user

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

const (
	viaVendor = rousev1.Reason_REASON_DELIVERED_TO_VENDOR
	muted     = rousev1.Reason_REASON_MUTED_ON_DEVICE
	duplicate = rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
	stale     = rousev1.ItemStatus_ITEM_STATUS_STALE
)

// reporting is a user with a phone whose one push the vendor took a second ago.
type reporting struct {
	*world
	p   *Pending
	sum Sum
}

func newReporting(t testing.TB) *reporting {
	t.Helper()
	w := &reporting{world: offlinePhone(t)}
	w.sum = w.s.Devices[0].Bindings[0].Sum
	w.env.Now = t0.Add(time.Second)
	id, _ := w.message(nil)
	w.p = w.s.pending(id)
	w.do(Ended{Message: id, Device: "phone", Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: viaVendor, VendorID: "v1", Sum: w.sum})
	w.env.Now = t0.Add(2 * time.Second)
	return w
}

func (w *reporting) receipt(kind vendors.ReceiptKind, edit func(*Receipt)) Decision {
	r := Receipt{Notifier: "apns", Sum: w.sum, Kind: kind, PushID: PushID("app", "ann", "phone", w.p.Message), VendorID: "v1", Code: "c", Push: w.p}
	if edit != nil {
		edit(&r)
	}
	return w.do(r)
}

func (w *reporting) binding() *Binding {
	if b := w.s.Devices[0].Bindings; len(b) == 1 {
		return &b[0]
	}
	return nil
}

func TestReceiptMarks(t *testing.T) {
	w := newReporting(t)
	at := t0.Add(1500 * time.Millisecond)
	if d := w.receipt(vendors.ReceiptClicked, func(r *Receipt) { r.At = at }); d.Reply.Status != accepted || len(d.Touched) != 1 || d.Changed {
		t.Errorf("clicked: %v, touched %d, record changed %v", d.Reply, len(d.Touched), d.Changed)
	}
	for _, kind := range []vendors.ReceiptKind{vendors.ReceiptDelivered, vendors.ReceiptClicked} {
		if d := w.receipt(kind, nil); d.Reply.Status != duplicate || len(d.Touched) != 0 {
			t.Errorf("a later %v: %v, touched %d", kind, d.Reply, len(d.Touched))
		}
	}
	w.receipt(vendors.ReceiptMuted, func(r *Receipt) { r.Code = "first" })
	w.receipt(vendors.ReceiptNotShown, func(r *Receipt) { r.Code = "second" })
	o := w.p.Outcomes("app", "ann")[0]
	if o.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED || !o.GetDeliveredAt().AsTime().Equal(at) || !o.GetClickedAt().AsTime().Equal(at) ||
		o.GetReceiptReason() != muted || o.GetReceiptCode() != "first" || o.GetReason() != viaVendor {
		t.Errorf("outcome %v", o)
	}
	if b := w.binding(); b == nil || b.LastReason != muted || b.LastAt != w.env.Now.UnixMilli() {
		t.Errorf("binding %+v", b)
	}
	got, _, err := DecodePending(w.p.Message, string(w.p.EncodeOutcome(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.p.Verdicts, got.Verdicts); diff != "" {
		t.Error(diff)
	}
}

// Vendors' clocks go wrong, and a receipt without a time has that of its arrival.
func TestReceiptTimes(t *testing.T) {
	for name, c := range map[string]struct{ at, want time.Time }{
		"not said":            {time.Time{}, t0.Add(2 * time.Second)},
		"in the future":       {t0.Add(time.Hour), t0.Add(2 * time.Second)},
		"before the decision": {t0.Add(-time.Hour), t0.Add(time.Second)},
	} {
		w := newReporting(t)
		w.receipt(vendors.ReceiptDelivered, func(r *Receipt) { r.At = c.at })
		if got := w.p.Verdicts[0].DeliveredAt; got != c.want.UnixMilli() {
			t.Errorf("%s: %v, want %v", name, time.UnixMilli(got).UTC(), c.want)
		}
	}
}

// A receipt is about the push that it names, by either id, on the device of its token.
func TestReceiptFindsItsPush(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Receipt)
		want bool
	}{
		"by push id":                {func(r *Receipt) { r.VendorID = "" }, true},
		"by vendor id, in a batch":  {func(r *Receipt) { r.PushID = PushID("app", "bob", "phone", "m") }, true},
		"another push":              {func(r *Receipt) { r.PushID, r.VendorID = PushID("app", "ann", "phone", "m"), "v2" }, false},
		"another device's push":     {func(r *Receipt) { r.PushID, r.VendorID = PushID("app", "ann", "pad", "m"), "" }, false},
		"no name":                   {func(r *Receipt) { r.PushID, r.VendorID = "", "" }, false},
		"a push that was not found": {func(r *Receipt) { r.Push = nil }, false},
	} {
		w := newReporting(t)
		d := w.receipt(vendors.ReceiptDelivered, c.edit)
		if marked := w.p.Verdicts[0].DeliveredAt != 0; marked != c.want || (d.Reply.Status == accepted) != c.want {
			t.Errorf("%s: marked %v, %v", name, marked, d.Reply)
		}
	}
}

func TestReceiptOfAnotherToken(t *testing.T) {
	w := newReporting(t)
	w.bind("phone", "apns", "bb")
	if d := w.receipt(vendors.ReceiptInvalid, nil); d.Reply.Status != stale || w.binding() == nil || w.p.Verdicts[0].ReceiptReason != 0 {
		t.Errorf("%v, binding %v", d.Reply, w.binding())
	}
}

// A receipt that is faster than the vendor's answer is kept through it.
func TestReceiptBeforeTheAnswer(t *testing.T) {
	w := offlinePhone(t)
	id, _ := w.message(nil)
	p, sum := w.s.pending(id), w.s.Devices[0].Bindings[0].Sum
	d := w.do(Receipt{Notifier: "apns", Sum: sum, Kind: vendors.ReceiptDelivered, PushID: PushID("app", "ann", "phone", id), Push: p})
	if d.Reply.Status != accepted || len(d.Touched) != 1 || p.done() {
		t.Fatalf("%v", d.Reply)
	}
	w.do(Ended{Message: id, Device: "phone", Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: viaVendor, Sum: sum})
	if v := p.Verdicts[0]; v.DeliveredAt == 0 || v.Stage != StageEnded {
		t.Errorf("%+v", v)
	}
}

// The vendor's id of a batch is known with its answer only: a receipt before it
// is wanted again, where batches are.
func TestReceiptBeforeTheAnswerOfABatch(t *testing.T) {
	w := offlinePhone(t)
	w.message(nil)
	r := Receipt{Notifier: "apns", Sum: w.s.Devices[0].Bindings[0].Sum, Kind: vendors.ReceiptDelivered, PushID: "another's", VendorID: "v1"}
	if d := w.do(r); d.Reply.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_NOT_FOUND {
		t.Errorf("without batches: %v", d.Reply)
	}
	w.env.App.Notifiers["apns"] = Notifier{Coalesce: true}
	if d := w.do(r); !d.Reply.Err.GetTemporary() {
		t.Errorf("with batches: %v", d.Reply)
	}
}

// A token is dropped when it died after its bind, and only then.
func TestReceiptInvalid(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Receipt)
		drop bool
	}{
		"died after the bind":                    {func(r *Receipt) { r.At = t0.Add(time.Millisecond) }, true},
		"died before the bind":                   {func(r *Receipt) { r.At = t0.Add(-time.Second) }, false},
		"died with the bind":                     {func(r *Receipt) { r.At = t0 }, false},
		"no time, pushed after the bind":         {nil, true},
		"no time, no push":                       {func(r *Receipt) { r.Push = nil }, false},
		"a time after the bind, another's push":  {func(r *Receipt) { r.At, r.Push = t0.Add(time.Millisecond), nil }, true},
		"a time before the bind, another's push": {func(r *Receipt) { r.At, r.Push = t0.Add(-time.Millisecond), nil }, false},
	} {
		w := newReporting(t)
		d := w.receipt(vendors.ReceiptInvalid, c.edit)
		if dropped := w.binding() == nil; dropped != c.drop || (len(d.Disown) == 1) != c.drop {
			t.Errorf("%s: dropped %v, disowned %v", name, dropped, d.Disown)
		}
		if b := w.binding(); b != nil && b.LastReason != viaVendor {
			t.Errorf("%s: a token that lives has the result %v", name, b.LastReason)
		}
	}
	t.Run("bound again since", func(t *testing.T) {
		w := newReporting(t)
		w.bind("phone", "apns", "aa")
		w.receipt(vendors.ReceiptInvalid, nil)
		if w.binding() == nil {
			t.Error("a token was dropped that was bound after its push")
		}
	})
}

func TestReceiptReplaced(t *testing.T) {
	fresh := func(r *Receipt) { r.NewSealed, r.NewSum = "sealed:bb", Sum{0xbb} }
	w := newReporting(t)
	d := w.receipt(vendors.ReceiptReplaced, fresh)
	b := w.binding()
	if b == nil || b.Sum != (Sum{0xbb}) || b.Sealed != "sealed:bb" || b.BoundAt != t0.UnixMilli() || b.LastReason != 0 {
		t.Fatalf("binding %+v", b)
	}
	if diff := cmp.Diff([]Claim{{Sum: Sum{0xbb}, Device: "phone", BoundAt: t0.UnixMilli()}}, d.Claim); diff != "" || len(d.Disown) != 1 || d.Disown[0].Sum != w.sum {
		t.Errorf("claims %v, disowned %v", diff, d.Disown)
	}
	if d := w.receipt(vendors.ReceiptReplaced, fresh); d.Reply.Status != stale || len(d.Claim) != 0 {
		t.Errorf("again: %v", d.Reply)
	}

	w = newReporting(t)
	w.do(Bind{BindTokenRequest: &rousev1.BindTokenRequest{UserId: "ann", DeviceId: "new phone", Notifier: "apns", Token: "bb"}, Sealed: "sealed:bb", Sum: Sum{0xbb}})
	d = w.receipt(vendors.ReceiptReplaced, fresh)
	if len(w.s.device("phone").Bindings) != 0 || len(w.s.device("new phone").Bindings) != 1 || len(d.Claim) != 0 {
		t.Error("the token of another device was bound a second time")
	}
}

// In whatever order and however often receipts come, the outcome ends the same
// but for times, it never loses a mark, and repeats change nothing.
func TestReceiptsInAnyOrder(t *testing.T) {
	kinds := []vendors.ReceiptKind{vendors.ReceiptDelivered, vendors.ReceiptClicked, vendors.ReceiptNotShown, vendors.ReceiptMuted, vendors.ReceiptQuota}
	rapid.Check(t, func(rt *rapid.T) {
		w := newReporting(t)
		told := map[vendors.ReceiptKind]bool{}
		for _, kind := range rapid.SliceOfN(rapid.SampledFrom(kinds), 1, 12).Draw(rt, "kinds") {
			w.env.Now = w.env.Now.Add(time.Second)
			before := w.p.Verdicts[0]
			d := w.receipt(kind, nil)
			v := w.p.Verdicts[0]
			if (d.Reply.Status == duplicate) != (before == v) || told[kind] && before != v {
				rt.Fatalf("%v: %v, from %+v to %+v", kind, d.Reply, before, v)
			}
			if before.DeliveredAt != 0 && v.DeliveredAt != before.DeliveredAt || before.ClickedAt != 0 && v.ClickedAt != before.ClickedAt ||
				before.ReceiptReason != 0 && v.ReceiptReason != before.ReceiptReason {
				rt.Fatalf("%v changed a mark: %+v to %+v", kind, before, v)
			}
			told[kind] = true
			if (v.DeliveredAt != 0) != (told[vendors.ReceiptDelivered] || told[vendors.ReceiptClicked]) || (v.ClickedAt != 0) != told[vendors.ReceiptClicked] ||
				(v.ReceiptReason != 0) != (told[vendors.ReceiptNotShown] || told[vendors.ReceiptMuted] || told[vendors.ReceiptQuota]) {
				rt.Fatalf("%v: %+v", told, v)
			}
		}
	})
}

// A vendor that counted more than we did is believed, for marketing alone and
// for that day alone.
func TestReceiptQuota(t *testing.T) {
	w := capped(t, 5)
	zone := w.env.App.Notifiers["apns"].Zone
	quota := func(message string) {
		t.Helper()
		p := w.s.pending(message)
		w.end(message, took, false)
		d := w.do(Receipt{Notifier: "apns", Kind: vendors.ReceiptQuota, Sum: w.s.Devices[0].Bindings[0].Sum, PushID: PushID("app", "ann", "phone", message), Push: p})
		if d.Reply.Status != accepted || p.Verdicts[0].ReceiptReason != rousev1.Reason_REASON_VENDOR_QUOTA {
			t.Errorf("%v", d.Reply)
		}
	}
	chat, _ := w.message(nil)
	quota(chat)
	first, got := w.advertise()
	if got != "QUEUED" {
		t.Fatalf("a chat message filled the ledger: %s", got)
	}
	w.env.Now = w.env.Now.Add(time.Second)
	quota(first)
	if _, got := w.advertise(); got != "DEVICE_CAP" {
		t.Errorf("after the vendor's word: %s", got)
	}
	w.env.Now = time.Date(2026, 3, 2, 0, 0, 1, 0, zone)
	last, got := w.advertise()
	if got != "QUEUED" {
		t.Errorf("on the next day: %s", got)
	}
	w.env.Now = time.Date(2026, 3, 3, 0, 0, 1, 0, zone)
	w.advertise()
	quota(last) // of yesterday
	if _, got := w.advertise(); got != "QUEUED" {
		t.Errorf("a receipt of yesterday filled today: %s", got)
	}
}

// What one node tells another of a receipt arrives as it was, and damage is found.
func TestReportedCrosses(t *testing.T) {
	for name, r := range map[string]Reported{
		"empty": {},
		"full": {NewToken: "new", Receipt: Receipt{
			Notifier: "apns", Sum: Sum{1, 2, 3}, Kind: vendors.ReceiptDelivered, PushID: "p", VendorID: "v", Code: "c", At: time.UnixMilli(1234),
		}},
	} {
		got, err := DecodeReported(r.Encode(nil))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, &r) {
			t.Errorf("%s: it became %+v", name, got)
		}
	}
	for _, b := range [][]byte{{0x12, 1, 7}, {0xff}, {0x12, 99}} {
		if _, err := DecodeReported(b); err == nil {
			t.Errorf("%x was taken", b)
		}
	}
}
