// Package scenarios reads the files that describe a world: who lives in it, how
// they use their phones, and what breaks. The files beside this one are shipped.
package scenarios

import (
	"time"
)

// Scenario is a world. Everything in it that is drawn at random has a source.
type Scenario struct {
	Name string `yaml:"name"`
	// About says in a sentence what the scenario is for.
	About string `yaml:"about"`
	// Like names a shipped scenario whose values hold where this one has none;
	// lists are replaced as a whole.
	Like string `yaml:"like"`
	// Start is the wall clock at the beginning; Length how long it goes on.
	Start  time.Time     `yaml:"start"`
	Length time.Duration `yaml:"length"`
	// Warmup is the time in which all devices log in and register, one after the
	// other; nobody writes before its end.
	Warmup time.Duration `yaml:"warmup"`
	Users  int           `yaml:"users"`

	Regions  []Region `yaml:"regions"`
	Devices  Devices  `yaml:"devices"`
	Rhythm   Rhythm   `yaml:"rhythm"`
	Sessions Sessions `yaml:"sessions"`
	Moves    Moves    `yaml:"moves"`
	Churn    Churn    `yaml:"churn"`
	Talk     Talk     `yaml:"talk"`
	Groups   Groups   `yaml:"groups"`
	Wishes   Wishes   `yaml:"wishes"`
	IM       IM       `yaml:"im"`
	Faults   []Plan   `yaml:"faults"`
	// App are settings of the app, by their names in the contract (rouse.v1.AppSettings):
	// "group_limit: 100000". They are taken over from another scenario one by one.
	App map[string]any `yaml:"app"`
}

// Region is where a share of the users live.
type Region struct {
	Name string `yaml:"name"`
	// Zone is an IANA name.
	Zone  string `yaml:"zone"`
	Share Share  `yaml:"share"`
	// Phones by brand: "apple", "google", "huawei", "harmony" (Huawei without
	// Android), "honor", "xiaomi", "oppo", "vivo", "meizu".
	Phones Table `yaml:"phones"`
}

// Devices of users. Everybody has a phone.
type Devices struct {
	SecondPhone Share `yaml:"second_phone"`
	Tablet      Share `yaml:"tablet"`
	Desktop     Share `yaml:"desktop"`
	Web         Share `yaml:"web"`
	// VoIP is the share of Apple phones that register for calls too.
	VoIP Share `yaml:"voip"`
}

// Rhythm of the day: how active people are in each hour of their zone; 1 is the
// mean over a day.
type Rhythm struct {
	Weekday []float64 `yaml:"weekday"`
	Weekend []float64 `yaml:"weekend"`
	Source  string    `yaml:"source"`
}

// Sessions of the app on a device.
type Sessions struct {
	// Foreground is how long the app is looked at.
	Foreground Dist `yaml:"foreground"`
	// Gap is the time between two looks, at mean activity; at night it grows.
	Gap Dist `yaml:"gap"`
	// Background is how long the connection outlives the look, by platform.
	IOSBackground     Dist `yaml:"ios_background"`
	AndroidBackground Dist `yaml:"android_background"`
	// Desktop is how long a desktop or browser stays connected, DesktopGap how
	// long it is shut, at mean activity.
	Desktop    Dist `yaml:"desktop"`
	DesktopGap Dist `yaml:"desktop_gap"`
	// OSKill is the share of Android backgrounds that the system ends at once.
	OSKill Share `yaml:"os_kill"`
	// Fetch is how long after connecting the offline messages are fetched; Fetches
	// the share of connections that do.
	Fetch   Dist  `yaml:"fetch"`
	Fetches Share `yaml:"fetches"`
	// Registers is the share of starts that register the token again, as some
	// apps do each time.
	Registers Share `yaml:"registers"`
}

// Moves of people that cut connections.
type Moves struct {
	// Commuters flap on weekdays in the two rush hours.
	Commuters Share  `yaml:"commuters"`
	Morning   Window `yaml:"morning"`
	Evening   Window `yaml:"evening"`
	// FlapUp and FlapDown are how long a connection holds, and is gone, meanwhile.
	FlapUp   Dist `yaml:"flap_up"`
	FlapDown Dist `yaml:"flap_down"`
	// Flights by user and day, and how long a phone is off then.
	Flights Rate `yaml:"flights"`
	Flight  Dist `yaml:"flight"`
}

// Churn of installations, tokens and accounts, by device and day.
type Churn struct {
	Reinstall Rate `yaml:"reinstall"`
	// Restored is the share of re-installations that get their former token again.
	Restored Share `yaml:"restored"`
	// TokenRotation: the vendor gives the app another token, and forgets the former.
	TokenRotation Rate `yaml:"token_rotation"`
	Uninstall     Rate `yaml:"uninstall"`
	// Dies is how long a vendor takes to forget the token of a removed app.
	Dies Dist `yaml:"dies"`
	// AccountSwitch: somebody else logs in on the phone for a while.
	AccountSwitch Rate `yaml:"account_switch"`
	Guest         Dist `yaml:"guest"`
	// Unbinds is the share of logouts that take the token back.
	Unbinds Share `yaml:"unbinds"`
	// Erased is the share of users whom the app forgets at some time of the scenario.
	// Who takes a phone up after it comes back without a past.
	Erased Share `yaml:"erased"`
	Logout Rate  `yaml:"logout"`
	// Kick is the share of logins on a second phone that force the first one off.
	Kick Share `yaml:"kick"`
}

// Talk between two, by user and look at the app.
type Talk struct {
	// Pause between two messages or reads of somebody who looks at the app.
	Pause Dist `yaml:"pause"`
	// Writes is the share of those that are messages; the others read.
	Writes   Share `yaml:"writes"`
	Contacts int   `yaml:"contacts"`
	Call     Share `yaml:"call"`
	Recall   Share `yaml:"recall"`
	// Edit is the share of recalls that change the message instead.
	Edit     Share `yaml:"edit"`
	RecallIn Dist  `yaml:"recall_in"`
	// Short is the share of messages that are wanted for Wanted only.
	Short  Share `yaml:"short"`
	Wanted Dist  `yaml:"wanted"`
	// Replaces is the share of messages that take the place of the last such one
	// in the same conversation.
	Replaces Share `yaml:"replaces"`
}

// Groups and what is said in them.
type Groups struct {
	// PerUser is the number of groups divided by that of users.
	PerUser float64 `yaml:"per_user"`
	// Size is drawn from a Pareto distribution of this shape, MinSize up to MaxSize.
	MinSize int     `yaml:"min_size"`
	MaxSize int     `yaml:"max_size"`
	Shape   float64 `yaml:"shape"`
	// Large lists groups of given sizes beside them; at most all users.
	Large []Large `yaml:"large"`
	// Pause between two messages of a group, at mean activity.
	Pause Dist `yaml:"pause"`
	// Mention and MentionAll are shares of the messages.
	Mention    Share  `yaml:"mention"`
	MentionAll Share  `yaml:"mention_all"`
	Source     string `yaml:"source"`
}

// Large group, with messages at set times.
type Large struct {
	Size int `yaml:"size"`
	// At are times of messages to everybody in it; MentionAll says so to all.
	At         []time.Duration `yaml:"at"`
	MentionAll bool            `yaml:"mention_all"`
}

// Wishes of users.
type Wishes struct {
	// Night is the share with a quiet window, from and to in minutes of the day.
	Night        Share  `yaml:"night"`
	NightWindow  Window `yaml:"night_window"`
	MentionsPass Share  `yaml:"mentions_pass"`
	MentionOnly  Share  `yaml:"mention_only"`
	Silent       Share  `yaml:"silent"`
	// Mute is by user and day: a group is muted, for good or for some hours.
	Mute     Rate  `yaml:"mute"`
	Policies Table `yaml:"policies"`
	// OwnPolicy is the share of users with a policy of their own.
	OwnPolicy Share `yaml:"own_policy"`
}

// IM nodes and how they tell.
type IM struct {
	Nodes int `yaml:"nodes"`
	// Outages of IM nodes: their sessions end without a word, and devices come
	// back to other nodes.
	Outages []Outage `yaml:"outages"`
	// Reconnect is how long devices take to come back.
	Reconnect Dist `yaml:"reconnect"`
	// Delay of what is told, Late the share that is told with Lag beside it, so
	// that later events overtake it.
	Delay  Dist  `yaml:"delay"`
	Late   Share `yaml:"late"`
	Lag    Dist  `yaml:"lag"`
	Repeat Share `yaml:"repeat"`
	// LoseLast is how much of what it should have told dies with an IM node.
	LoseLast time.Duration `yaml:"lose_last"`
}

// Outage of IM nodes.
type Outage struct {
	At time.Duration `yaml:"at"`
	// Node counts from 0; All takes all of them.
	Node int           `yaml:"node"`
	All  bool          `yaml:"all"`
	For  time.Duration `yaml:"for"`
}

// Plan of a fault, once or again and again.
type Plan struct {
	Kind string        `yaml:"kind"`
	At   time.Duration `yaml:"at"`
	For  time.Duration `yaml:"for"`
	// Every repeats it until Until (the end of the scenario if 0). With Rotate
	// each time hits the next node of Nodes, else all of them.
	Every  time.Duration `yaml:"every"`
	Until  time.Duration `yaml:"until"`
	Rotate bool          `yaml:"rotate"`
	Nodes  []int         `yaml:"nodes"`
	Vendor string        `yaml:"vendor"`
	Delay  time.Duration `yaml:"delay"`
	Rate   float64       `yaml:"rate"`
}

// Dist is a distribution of durations.
type Dist struct {
	// Kind: "lognormal" (Median, Shape = sigma), "pareto" (Min, Shape = alpha),
	// "exponential" (Mean), "uniform" (Min, Max), "fixed" (Min). Max cuts off.
	Kind   string        `yaml:"kind"`
	Median time.Duration `yaml:"median"`
	Mean   time.Duration `yaml:"mean"`
	Min    time.Duration `yaml:"min"`
	Max    time.Duration `yaml:"max"`
	Shape  float64       `yaml:"shape"`
	Source string        `yaml:"source"`
}

// Share of a whole, 0 to 1.
type Share struct {
	Of     float64 `yaml:"of"`
	Source string  `yaml:"source"`
}

// Rate of something that happens now and then.
type Rate struct {
	PerDay float64 `yaml:"per_day"`
	Source string  `yaml:"source"`
}

// Table of weights by name.
type Table struct {
	Of     map[string]float64 `yaml:"of"`
	Source string             `yaml:"source"`
}

// Window of a day, in minutes of the day.
type Window struct {
	From   int    `yaml:"from"`
	To     int    `yaml:"to"`
	Source string `yaml:"source"`
}
