package user

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// word is a text that steps are often made of. Its number is stored: it never
// changes its meaning, and new ones come last.
type word uint8

const (
	_ word = iota
	// Names of inputs.
	wordAge
	wordAlert
	wordBadge
	wordBindings
	wordClass
	wordCount
	wordCounts
	wordDecidedBefore
	wordDelay
	wordDelays
	wordDevices
	wordDevicesRaised
	wordForcePush
	wordForceScope
	wordGroupLimit
	wordGroupSize
	wordIgnorePush
	wordKind
	wordKnown
	wordLeft
	wordMarketing
	wordMentions
	wordMode
	wordNewest
	wordNotifier
	wordOnline
	wordOnlineOnly
	wordOwn
	wordPolicy
	wordPushAllKinds
	wordPushes
	wordSenderIsManager
	wordSkipSilent
	wordState
	wordStopped
	wordStops
	wordToday
	wordType
	wordVoIP
	wordWindows
	// Rules and values.
	wordAppPolicy
	wordUserPolicy
	wordAppTTL
	wordMessageTTL
	wordDefault
	wordNone
	wordAwayDelay
	// Names of inputs.
	wordLanguage
	wordStyle
	wordHideContent
	wordBanned
)

var vocabulary = [...]string{
	wordAge:             "age_s",
	wordAlert:           "alert",
	wordBadge:           "badge",
	wordBindings:        "bindings",
	wordClass:           "class",
	wordCount:           "count",
	wordCounts:          "counts",
	wordDecidedBefore:   "decided_before",
	wordDelay:           "delay_s",
	wordDelays:          "delays",
	wordDevices:         "devices",
	wordDevicesRaised:   "devices_raised",
	wordForcePush:       "force_push",
	wordForceScope:      "force_scope",
	wordGroupLimit:      "group_limit",
	wordGroupSize:       "group_size",
	wordIgnorePush:      "ignore_push",
	wordKind:            "kind",
	wordKnown:           "known",
	wordLeft:            "left_s",
	wordMarketing:       "marketing_per_device",
	wordMentions:        "mentions",
	wordMode:            "mode",
	wordNewest:          "newest",
	wordNotifier:        "notifier",
	wordOnline:          "online",
	wordOnlineOnly:      "online_only",
	wordOwn:             "own",
	wordPolicy:          "policy",
	wordPushAllKinds:    "push_all_kinds",
	wordPushes:          "pushes",
	wordSenderIsManager: "sender_is_manager",
	wordSkipSilent:      "skip_silent_count",
	wordState:           "state",
	wordStopped:         "stopped_by_hook",
	wordStops:           "stops_offline_devices",
	wordToday:           "today",
	wordType:            "type",
	wordVoIP:            "voip",
	wordWindows:         "windows",
	wordAppPolicy:       "app policy",
	wordUserPolicy:      "user policy",
	wordAppTTL:          "app default_ttl",
	wordMessageTTL:      "message ttl",
	wordDefault:         "default",
	wordNone:            "none",
	wordAwayDelay:       "away delay",
	wordLanguage:        "language",
	wordStyle:           "style",
	wordHideContent:     "hide_content",
	wordBanned:          "banned",
}

// spelled finds a text in the vocabulary.
var spelled = func() map[string]word {
	m := make(map[string]word, len(vocabulary))
	for w, t := range vocabulary {
		m[t] = word(w)
	}
	delete(m, "")
	return m
}()

// enumeration is an enum of the contract that steps look at. Its number is
// stored, as a word's.
type enumeration uint8

const (
	ofConversation enumeration = iota
	ofKind
	ofClass
	ofPolicy
	ofSession
	ofForce
	ofMode
	ofStyle
)

var enumerations = [...]map[int32]string{
	ofConversation: rousev1.ConversationType_name,
	ofKind:         rousev1.MessageKind_name,
	ofClass:        rousev1.MessageClass_name,
	ofPolicy:       rousev1.MultiDevicePolicy_name,
	ofSession:      rousev1.SessionState_name,
	ofForce:        rousev1.ForceScope_name,
	ofMode:         rousev1.NotifyMode_name,
	ofStyle:        rousev1.DisplayStyle_name,
}
