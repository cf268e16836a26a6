package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
	_ "time/tzdata" // zones must be known where the system has none

	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/quota"
)

// china is where the day of the vendors of Chinese phones begins.
const china = "Asia/Shanghai"

// limits are what a vendor documents of its bounds, and whose they are.
type limits struct {
	// account names the vendor's account that the credential is of.
	account string
	// zone of the vendor's midnight; empty = UTC.
	zone string
	// probe is how often a quota that the vendor called used up is asked for again
	// before midnight. vivo cuts the quota of who does, and OPPO tells to stop for
	// the day: there it is never.
	probe time.Duration
	// perSecond is the least that the vendor documents for any app; 0 = nothing is.
	// It is of devices with perPush, else of requests.
	perSecond float64
	perPush   bool
	// marketing is the documented number of marketing pushes of a day to one device
	// of an app that is no news app; 0 = none is.
	marketing uint16
}

// limitsOf lists the vendors' bounds; docs/vendors has the sources.
func limitsOf(c *rousev1.Credential) limits {
	switch v := c.GetVendor().(type) {
	case *rousev1.Credential_Apns:
		return limits{account: v.Apns.GetBundleId(), probe: time.Hour}
	case *rousev1.Credential_Fcm:
		return limits{account: digest(v.Fcm.GetServiceAccountJson()), probe: time.Hour, perSecond: 10_000}
	case *rousev1.Credential_Huawei:
		return limits{account: v.Huawei.GetAppId(), zone: china, probe: time.Hour, marketing: ifNot(v.Huawei.GetTestMessages(), 2), perSecond: 6000, perPush: true}
	case *rousev1.Credential_Harmony:
		account := v.Harmony.GetProjectId()
		if account == "" {
			account = digest(v.Harmony.GetServiceAccountJson())
		}
		return limits{account: account, zone: china, probe: time.Hour, marketing: ifNot(v.Harmony.GetTestMessages(), 2), perSecond: 6000, perPush: true}
	case *rousev1.Credential_Xiaomi:
		l := limits{account: v.Xiaomi.GetPackageName(), zone: china, probe: time.Hour, marketing: 1, perSecond: 500}
		if v.Xiaomi.GetMarketing().GetChannelId() != "" {
			l.marketing = 5 // of a public class; the default class has one
		}
		return l
	case *rousev1.Credential_Oppo:
		return limits{account: v.Oppo.GetAppKey(), zone: china, marketing: 2, perSecond: 5000, perPush: true}
	case *rousev1.Credential_Honor:
		return limits{account: v.Honor.GetAppId(), zone: china, probe: time.Hour, marketing: ifNot(v.Honor.GetTestMessages(), 2), perSecond: 1000, perPush: true}
	case *rousev1.Credential_Vivo:
		return limits{account: v.Vivo.GetAppId(), zone: china, marketing: 2, perSecond: 3000, perPush: true}
	case *rousev1.Credential_Meizu:
		return limits{account: v.Meizu.GetAppId(), zone: china, probe: time.Hour, perSecond: 200}
	}
	return limits{}
}

// ifNot: the vendor's tests are without the bound for one device.
func ifNot(tests bool, n uint16) uint16 {
	if tests {
		return 0
	}
	return n
}

// digest names an account whose own name is inside a secret file. Another key of
// the same account counts as another account.
func digest(file string) string {
	sum := sha256.Sum256([]byte(file))
	return hex.EncodeToString(sum[:16])
}

// checkZone says why the zone of a credential's quota is not one.
func checkZone(c *rousev1.Credential) error {
	name := c.GetDailyQuota().GetTimeZone()
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fmt.Errorf(`daily_quota.time_zone: %q is not an IANA time zone, such as "Asia/Shanghai"`, name)
	}
	return nil
}

// zones are read from files; lanes are looked at each second.
var zones quiet.Zones

// zoneOf is where the vendor's day of a credential begins.
func zoneOf(c *rousev1.Credential) *time.Location {
	name := c.GetDailyQuota().GetTimeZone()
	if name == "" {
		name = limitsOf(c).zone
	}
	if zone := zones.Find(name); zone != nil {
		return zone
	}
	return time.UTC // or one that was stored by a version that knew it
}

// laneOptions are what an operator set, with the vendor's limits where he did not.
func laneOptions(app string, c *rousev1.Credential, book *quota.Book) lane.Options {
	l, q := limitsOf(c), c.GetDailyQuota()
	return lane.Options{
		PerSecond: perSecondOf(c), PerPush: l.perPush, QueueLimit: int(c.GetQueueLimit()),
		Quota: lane.Quota{
			Limits: [quota.Classes]uint64{q.GetCall(), q.GetIm(), q.GetSystem(), q.GetMarketing()},
			Zone:   zoneOf(c), Probe: l.probe, Account: book.Account(app, c.GetName(), l.account),
		},
	}
}

// perSecondOf is the rate that an operator set, else the documented one; 0 = none.
func perSecondOf(c *rousev1.Credential) float64 {
	if set := c.GetRatePerSecond(); set > 0 {
		return float64(set)
	}
	return limitsOf(c).perSecond
}
