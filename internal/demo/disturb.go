package demo

import (
	"fmt"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

// Failures that a vendor can be made to have.
const (
	Throttle   = "429"        // FCM: the whole account is asked to wait
	HotDevice  = "429-device" // one device gets too much
	Down       = "500"
	Unanswered = "cut" // takes the push, and closes the connection instead of answering
)

// Disturbance is a failure of the vendor "apns" or "fcm".
type Disturbance struct {
	Vendor, Fault string
	// Times is the number of pushes to hit; 0 = until Heal.
	Times int
	// RetryAfter is what the vendor asks for, in whole seconds; 0 = it does not say.
	RetryAfter time.Duration
}

// Disturb makes a vendor fail.
func (v *Vendors) Disturb(d Disturbance) error {
	faults, err := v.faults(d.Vendor)
	if err != nil {
		return err
	}
	wait := ""
	if d.RetryAfter >= time.Second {
		wait = fmt.Sprint(int(d.RetryAfter / time.Second))
	}
	var f fake.Fault
	switch d.Vendor + " " + d.Fault {
	case "apns " + Unanswered, "fcm " + Unanswered:
		f = fake.Fault{Kind: fake.Cut}
	case "apns " + Down:
		f = fake.Reason(500, "InternalServerError")
	case "apns " + HotDevice:
		f = fake.Reason(429, "TooManyRequests")
		f.Header["retry-after"] = wait
	case "fcm " + Down:
		f = fake.FCMRefusal(500, "INTERNAL", "INTERNAL", "Internal error encountered.", wait)
	case "fcm " + HotDevice:
		f = fake.FCMDeviceQuota(wait)
	case "fcm " + Throttle:
		f = fake.FCMRefusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded.", wait)
	default:
		return fmt.Errorf("%s has no fault %q; known are %s, %s, %s, and for fcm %s", d.Vendor, d.Fault, Down, HotDevice, Unanswered, Throttle)
	}
	f.Times = d.Times
	faults.Script(f)
	return nil
}

// Delay makes both vendors answer so much later. It is the last of what is
// scripted: pushes that a fault hits are not delayed.
func (v *Vendors) Delay(latency time.Duration) {
	v.APNs.Faults.Script(fake.Fault{Kind: fake.Slow, Delay: latency})
	v.FCM.Faults.Script(fake.Fault{Kind: fake.Slow, Delay: latency})
}

// Heal ends all failures of a vendor.
func (v *Vendors) Heal(vendor string) error {
	faults, err := v.faults(vendor)
	if err == nil {
		faults.Clear()
	}
	return err
}

func (v *Vendors) faults(vendor string) (*fake.Faults, error) {
	switch vendor {
	case "apns":
		return &v.APNs.Faults, nil
	case "fcm":
		return &v.FCM.Faults, nil
	}
	return nil, fmt.Errorf("there is no vendor %q; known are apns and fcm", vendor)
}
