package apns

import (
	"strconv"
	"strings"

	"github.com/rouse-im/rouse/vendors"
)

// What APNs calls a provider token that is too old, and one that it cannot take.
const (
	reasonExpired = "ExpiredProviderToken"
	reasonInvalid = "InvalidProviderToken"
)

// meaning is what one reason says about a push.
type meaning struct {
	status  int
	outcome vendors.Outcome
	scope   vendors.Scope
	// retire ends the use of the connection that gave the answer.
	retire bool
	about  string
}

// meanings holds Apple's error reasons ("Handling notification responses from
// APNs", 2026-11), with what each is about. The two marked + are from
// "Establishing a token-based connection to APNs".
var meanings = map[string]meaning{
	"BadCollapseId":     {400, vendors.Rejected, 0, false, "collapse id above 64 bytes"},
	"BadDeviceToken":    {400, vendors.TokenInvalid, 0, false, "no such token in this environment"},
	"BadExpirationDate": {400, vendors.Rejected, 0, false, "apns-expiration"},
	"BadMessageId":      {400, vendors.Rejected, 0, false, "apns-id is no UUID"},
	"BadPriority":       {400, vendors.Rejected, 0, false, "apns-priority"},
	"BadTopic":          {400, vendors.CredentialBad, 0, false, "bundle id is no topic"},
	// The token belongs to another app.
	"DeviceTokenNotForTopic":      {400, vendors.TokenInvalid, 0, false, "token of another topic"},
	"DuplicateHeaders":            {400, vendors.Rejected, 0, false, "repeated header"},
	"IdleTimeout":                 {400, vendors.Transient, 0, true, "connection was idle too long"},
	"InvalidPushType":             {400, vendors.Rejected, 0, false, "apns-push-type"},
	"MissingDeviceToken":          {400, vendors.Rejected, 0, false, "no token in the path"},
	"MissingTopic":                {400, vendors.CredentialBad, 0, false, "certificate of several topics"},
	"PayloadEmpty":                {400, vendors.Rejected, 0, false, "no payload"},
	"TopicDisallowed":             {400, vendors.CredentialBad, 0, false, "credential may not use the bundle id"},
	"BadCertificate":              {403, vendors.CredentialBad, 0, false, "certificate refused"},
	"BadCertificateEnvironment":   {403, vendors.CredentialBad, 0, false, "certificate of the other environment"},
	"BadEnvironmentKeyIdInToken":  {403, vendors.CredentialBad, 0, true, "+ key of the other environment"},
	reasonExpired:                 {403, vendors.CredentialBad, 0, false, "provider token above 1 h, even a new one: clock"},
	"Forbidden":                   {403, vendors.CredentialBad, 0, false, "not allowed"},
	reasonInvalid:                 {403, vendors.CredentialBad, 0, false, "key, key id, team or clock wrong"},
	"MissingProviderToken":        {403, vendors.CredentialBad, 0, false, "certificate not accepted, token needed"},
	"UnrelatedKeyIdInToken":       {403, vendors.Transient, 0, true, "+ connection is bound to another key"},
	"BadPath":                     {404, vendors.Rejected, 0, false, "path"},
	"MethodNotAllowed":            {405, vendors.Rejected, 0, false, "method"},
	"ExpiredToken":                {410, vendors.TokenInvalid, 0, false, "device token expired"},
	"Unregistered":                {410, vendors.TokenInvalid, 0, false, "app removed or token replaced"},
	"PayloadTooLarge":             {413, vendors.Rejected, 0, false, "4096 bytes, voip 5120"},
	"TooManyProviderTokenUpdates": {429, vendors.Throttled, vendors.ScopeCredential, true, "new token within 20 min"},
	"TooManyRequests":             {429, vendors.Throttled, vendors.ScopeDevice, false, "too many pushes to this token"},
	"InternalServerError":         {500, vendors.Transient, 0, false, "APNs failed"},
	"ServiceUnavailable":          {503, vendors.Transient, 0, false, "APNs is unavailable"},
	"Shutdown":                    {503, vendors.Transient, 0, true, "server is going down"},
}

// classify never calls a token invalid for an answer it does not know. An
// answer without a reason is a proxy's, so it says nothing about the push.
func classify(status int, reason string) meaning {
	if m, ok := meanings[reason]; ok {
		return m
	}
	switch {
	case status == 429:
		return meaning{outcome: vendors.Throttled}
	case status >= 400 && status < 500 && reason != "":
		return meaning{outcome: vendors.Rejected}
	}
	return meaning{outcome: vendors.Transient}
}

// code is what people and metrics see: the reason, or the HTTP status where
// there is none that is fit to print.
func code(status int, reason string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	if reason == "" || len(reason) > 64 || strings.ContainsFunc(reason, odd) {
		return "http_" + strconv.Itoa(status)
	}
	return reason
}
