package user

import (
	"cmp"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/content"
)

// Defaults of an app's settings.
const (
	DefaultGroupLimit = 3000
	DefaultTTL        = 24 * time.Hour
	DefaultStaleAfter = 30 * 24 * time.Hour
	DefaultAwayDelay  = 30 * time.Second
	// MaxAge of a message: older ones are not pushed.
	MaxAge = 24 * time.Hour
)

// App is what decisions need to know of an app: its settings with defaults
// filled in, and its notifiers. It is shared and never changed.
type App struct {
	Policy               Policy
	GroupLimit           uint32
	TTL                  time.Duration
	StaleAfter           time.Duration
	IOSBackgroundOffline bool
	AllKinds             bool
	CountUntilFetched    bool
	AllBindings          bool
	NoBadge              bool
	BadgeBase            bool // badges count on from what the app said
	RefreshBadges        bool
	RecallOverwrites     bool
	// AdvancedOff: the settings of users are kept and not heeded.
	AdvancedOff     bool
	ForceScope      rousev1.ForceScope
	GroupMode       rousev1.NotifyMode // of groups without one of their own
	DirectIsMention bool
	Zone            string // IANA name; empty = UTC
	// SkipSilent: what quiet times or modes keep silent raises no count.
	SkipSilent bool
	// TraceSample: one in so many messages keeps its steps although all went well.
	TraceSample uint32
	Notifiers   map[string]Notifier
	Telling     Telling
	Style       rousev1.DisplayStyle // of users without one of their own
	// Templates of the app; nil = none, not even the built-in ones.
	Templates *content.Templates
}

// NewApp fills in the defaults of the settings.
func NewApp(s *rousev1.AppSettings, credentials []*rousev1.Credential) *App {
	a := &App{
		Policy:               policyOf(s.GetDevicePolicy()),
		GroupLimit:           s.GetGroupLimit(),
		TTL:                  s.GetDefaultTtl().AsDuration(),
		StaleAfter:           s.GetStaleAfter().AsDuration(),
		IOSBackgroundOffline: s.GetIosBackgroundIsOffline(),
		AllKinds:             s.GetPushAllKinds(),
		CountUntilFetched:    s.GetResetCountOnFetchOnly(),
		AllBindings:          s.GetPushAllBindings(),
		NoBadge:              s.GetBadgeMode() == rousev1.BadgeMode_BADGE_MODE_NONE,
		BadgeBase:            s.GetBadgeMode() == rousev1.BadgeMode_BADGE_MODE_BASE_PLUS,
		RefreshBadges:        s.GetRefreshBadges(),
		RecallOverwrites:     s.GetRecallOverwrites(),
		AdvancedOff:          s.GetAdvancedOff(),
		ForceScope:           s.GetForceScope(),
		GroupMode:            s.GetGroupDefaultMode(),
		DirectIsMention:      s.GetDirectIsMention(),
		Zone:                 s.GetTimeZone(),
		SkipSilent:           s.GetSkipSilentCount(),
		Style:                s.GetDefaultStyle(),
		TraceSample:          cmp.Or(s.GetTraceSample(), DefaultTraceSample),
		Notifiers:            make(map[string]Notifier, len(credentials)),
	}
	if a.Policy.Kind == rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_UNSPECIFIED {
		a.Policy.Kind = rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ALL_OFFLINE
	}
	if a.GroupLimit == 0 {
		a.GroupLimit = DefaultGroupLimit
	}
	if a.TTL == 0 {
		a.TTL = DefaultTTL
	}
	if a.StaleAfter == 0 {
		a.StaleAfter = DefaultStaleAfter
	}
	for _, c := range credentials {
		a.Notifiers[c.GetName()] = Notifier{
			Vendor: string(catalog.Vendor(c)), VoIP: c.GetApns().GetVoip(), Disabled: c.GetDisabled(), Banned: c.GetBanned(), Coalesce: c.GetCoalesce(),
			MarketingCap: uint16(min(c.GetMarketingPerDevice(), maxCount)),
		}
	}
	return a
}

func policyOf(p *rousev1.DevicePolicy) Policy {
	q := Policy{Kind: p.GetPolicy()}
	if q.Kind == rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY {
		q.Delay = cmp.Or(p.GetAwayDelay().AsDuration(), DefaultAwayDelay)
	}
	return q
}
