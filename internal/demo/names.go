package demo

// What the fakes' credentials are called: the notifiers that bindings name.
// Those of the other vendors are called like their vendor.
const (
	IOS     = "ios"      // alerts on iOS
	IOSVoIP = "ios-voip" // calls on iOS
	Android = "android"  // FCM
)

// Vendors in faults, and the other notifiers.
const (
	APNs    = "apns"
	FCM     = "fcm"
	Huawei  = "huawei" // HMS
	Harmony = "harmony"
	Honor   = "honor"
	Xiaomi  = "xiaomi"
	OPPO    = "oppo"
	Vivo    = "vivo"
	Meizu   = "meizu"
)

var names = map[string]string{
	APNs: "APNs", FCM: "FCM", Huawei: "Huawei", Harmony: "HarmonyOS", Honor: "Honor",
	Xiaomi: "Xiaomi", OPPO: "OPPO", Vivo: "vivo", Meizu: "Meizu",
}

// Name is a vendor's name, for people.
func Name(vendor string) string { return names[vendor] }

// VendorOf is the vendor of a notifier.
func VendorOf(notifier string) string {
	switch notifier {
	case IOS, IOSVoIP:
		return APNs
	case Android:
		return FCM
	}
	return notifier
}

// maxIcon is the greatest number that Huawei and Honor set.
const maxIcon = 99

// shown is the number that a push of the vendor sets for a badge; not ok: the
// vendor does not let a push set one. Xiaomi and Meizu count by themselves,
// vivo only adds one.
func shown(vendor string, badge int) (number int, ok bool) {
	switch vendor {
	case APNs, FCM, OPPO:
		return badge, true
	case Huawei, Harmony, Honor:
		return min(badge, maxIcon), true
	}
	return 0, false
}

// noBadge is the badge of a push without one.
const noBadge = -1
