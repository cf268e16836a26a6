package app

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/apns"
	"github.com/rouse-im/rouse/vendors/fcm"
	"github.com/rouse-im/rouse/vendors/honor"
	"github.com/rouse-im/rouse/vendors/huawei"
	"github.com/rouse-im/rouse/vendors/meizu"
	"github.com/rouse-im/rouse/vendors/oppo"
	"github.com/rouse-im/rouse/vendors/vivo"
	"github.com/rouse-im/rouse/vendors/xiaomi"
)

// What each credential of the contract is to its vendor's client.

func apnsConfig(c *rousev1.ApnsCredential) apns.Config {
	return apns.Config{
		BundleID: c.GetBundleId(), VoIP: c.GetVoip(), Sandbox: c.GetSandbox(), Sound: c.GetSound(),
		AuthKeyPEM: []byte(c.GetAuthKeyPem()), KeyID: c.GetKeyId(), TeamID: c.GetTeamId(),
		CertificateP12: c.GetCertificateP12(), CertificatePassword: c.GetCertificatePassword(),
		Endpoint: c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()),
		Connections: int(c.GetConnections()), StreamsPerConnection: int(c.GetStreamsPerConnection()),
	}
}

func fcmConfig(c *rousev1.FcmCredential) fcm.Config {
	return fcm.Config{
		ServiceAccountJSON: []byte(c.GetServiceAccountJson()), ChannelID: c.GetChannelId(), DataOnly: c.GetDataOnly(), Priority: c.GetPriority(),
		Endpoint: c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

func huaweiConfig(c *rousev1.HuaweiCredential, r *rousev1.ReceiptSettings) huawei.Config {
	return huawei.Config{
		API: huawei.HMS, AppID: c.GetAppId(), AppSecret: c.GetAppSecret(), ChannelID: c.GetChannelId(),
		CallCategory: c.GetCallCategory(), IMCategory: c.GetImCategory(),
		SystemCategory: c.GetSystemCategory(), MarketingCategory: c.GetMarketingCategory(),
		ClickAction: c.GetClickAction(), ClickIntent: c.GetClickIntent(), Badge: huaweiBadge(c.GetBadge()), BadgeClass: c.GetBadgeClass(),
		ReceiptID: c.GetReceiptId(), ReceiptUserName: r.GetUserName(), ReceiptSecret: r.GetSecret(), TestMessages: c.GetTestMessages(),
		Endpoint: c.GetEndpoint(), AuthEndpoint: c.GetAuthEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

func harmonyConfig(c *rousev1.HarmonyCredential, r *rousev1.ReceiptSettings) huawei.Config {
	return huawei.Config{
		API: huawei.Harmony, ServiceAccountJSON: []byte(c.GetServiceAccountJson()), ProjectID: c.GetProjectId(),
		CallCategory: c.GetCallCategory(), IMCategory: c.GetImCategory(),
		SystemCategory: c.GetSystemCategory(), MarketingCategory: c.GetMarketingCategory(),
		ClickAction: c.GetClickAction(), Badge: huaweiBadge(c.GetBadge()), ReceiptID: c.GetReceiptId(), TestMessages: c.GetTestMessages(),
		ReceiptUserName: r.GetUserName(), ReceiptSecret: r.GetSecret(),
		Endpoint: c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

func huaweiBadge(b rousev1.BadgePush) huawei.BadgeMode {
	switch b {
	case rousev1.BadgePush_BADGE_PUSH_ADD:
		return huawei.BadgeAdd
	case rousev1.BadgePush_BADGE_PUSH_NONE:
		return huawei.BadgeNone
	case rousev1.BadgePush_BADGE_PUSH_UNSPECIFIED, rousev1.BadgePush_BADGE_PUSH_SET:
	}
	return huawei.BadgeSet
}

func xiaomiConfig(c *rousev1.XiaomiCredential, receiptURL string) xiaomi.Config {
	return xiaomi.Config{
		AppSecret: c.GetAppSecret(), PackageName: c.GetPackageName(),
		Call: xiaomiRoute(c.GetCall()), IM: xiaomiRoute(c.GetIm()), System: xiaomiRoute(c.GetSystem()), Marketing: xiaomiRoute(c.GetMarketing()),
		IntentURI: c.GetIntentUri(), EscapePayload: c.GetEscapePayload(), Path: c.GetPath(),
		ReceiptURL: receiptURL,
		Endpoint:   c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

func xiaomiRoute(r *rousev1.XiaomiRoute) xiaomi.Route {
	return xiaomi.Route{ChannelID: r.GetChannelId(), TemplateID: r.GetTemplateId(), TemplateParams: r.GetTemplateParams()}
}

func oppoConfig(c *rousev1.OppoCredential, receiptURL string) oppo.Config {
	return oppo.Config{
		AppKey: c.GetAppKey(), MasterSecret: c.GetMasterSecret(), ChannelID: c.GetChannelId(),
		Category: c.GetCategory(), SystemCategory: c.GetSystemCategory(), MarketingCategory: c.GetMarketingCategory(),
		NotifyLevel: int(c.GetNotifyLevel()), Activity: c.GetActivity(),
		TemplateID: c.GetTemplateId(), TemplateTitle: c.GetTemplateTitle(), TemplateContent: c.GetTemplateContent(), TemplateObjects: c.GetTemplateObjects(),
		ReceiptURL: receiptURL,
		Endpoint:   c.GetEndpoint(), OverseasEndpoint: c.GetOverseasEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

func honorConfig(c *rousev1.HonorCredential, r *rousev1.ReceiptSettings) honor.Config {
	return honor.Config{
		AppID: c.GetAppId(), ClientID: c.GetClientId(), ClientSecret: c.GetClientSecret(), SystemImportance: c.GetSystemImportance(),
		ClickAction: c.GetClickAction(), ClickIntent: c.GetClickIntent(), Badge: honorBadge(c.GetBadge()), BadgeClass: c.GetBadgeClass(),
		ReceiptUserName: r.GetUserName(), ReceiptSecret: r.GetSecret(), TestMessages: c.GetTestMessages(),
		Endpoint: c.GetEndpoint(), AuthEndpoint: c.GetAuthEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

func honorBadge(b rousev1.BadgePush) honor.BadgeMode {
	switch b {
	case rousev1.BadgePush_BADGE_PUSH_ADD:
		return honor.BadgeAdd
	case rousev1.BadgePush_BADGE_PUSH_NONE:
		return honor.BadgeNone
	case rousev1.BadgePush_BADGE_PUSH_UNSPECIFIED, rousev1.BadgePush_BADGE_PUSH_SET:
	}
	return honor.BadgeSet
}

func vivoConfig(c *rousev1.VivoCredential, r *rousev1.ReceiptSettings, receiptURL string) vivo.Config {
	callbackID := ""
	if r.GetEnabled() {
		callbackID = r.GetCallbackId()
	}
	return vivo.Config{
		AppID: c.GetAppId(), AppKey: c.GetAppKey(), AppSecret: c.GetAppSecret(),
		Category: c.GetCategory(), SystemCategory: c.GetSystemCategory(), MarketingCategory: c.GetMarketingCategory(),
		Operational: c.GetOperational(), Intent: c.GetIntent(), AddBadge: c.GetAddBadge(), WideText: c.GetWideText(), TestMode: c.GetTestMode(),
		ReceiptURL: receiptURL, CallbackID: callbackID,
		Endpoint: c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}

func meizuConfig(c *rousev1.MeizuCredential, r *rousev1.ReceiptSettings, receiptURL string) meizu.Config {
	return meizu.Config{
		AppID: c.GetAppId(), AppSecret: c.GetAppSecret(), Activity: c.GetActivity(),
		ReceiptURL: receiptURL, ReceiptSecret: r.GetSecret(),
		Endpoint: c.GetEndpoint(), CAPEM: []byte(c.GetCaPem()), MaxInFlight: int(c.GetMaxInFlight()),
	}
}
