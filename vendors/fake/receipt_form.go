package fake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ReceiptProof is what the console has for an address, for the vendor to prove
// its receipts by.
type ReceiptProof struct {
	// UserName and Secret sign the receipts of Huawei and Honor; without a
	// Secret they are not signed. For Meizu Secret is the access token.
	UserName, Secret string
	// Plain takes Secret as the key, as older configurations do; else it is the
	// key in base64.
	Plain bool
}

// ReceiptAddress is an address that the console knows.
type ReceiptAddress struct {
	URL string
	ReceiptProof
}

// signHuawei sets the header of Huawei's proof (Push Kit, "push-msg-receipt").
func signHuawei(p ReceiptProof, forged bool, header http.Header, now time.Time) {
	if p.Secret == "" {
		return
	}
	key := []byte(p.Secret)
	if !p.Plain {
		key, _ = base64.StdEncoding.DecodeString(p.Secret) // the console makes it so
	}
	if forged {
		key = []byte("another key")
	}
	timestamp, nonce := strconv.FormatInt(now.UnixMilli(), 10), rand.Text()
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(timestamp + nonce + p.UserName)) // never fails
	header.Set("X-HUAWEI-CALLBACK-ID", "timestamp="+timestamp+"; nonce="+nonce+"; value="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// writeHuaweiReceipts is version 1 of the form, of HMS and Honor, or for
// HarmonyOS version 2.
func writeHuaweiReceipts(batch []report, header http.Header, now time.Time) []byte {
	statuses := make([]map[string]any, 0, len(batch))
	for _, one := range batch {
		number, _ := strconv.Atoi(one.code) // ours
		status := map[string]any{"token": one.token, "requestId": one.message}
		if one.param != "" {
			status["biTag"] = one.param
		}
		if one.form == "harmony" {
			status["pushType"], status["appPackageName"] = 0, "com.example.im"
			status["deliveryStatus"] = map[string]any{"result": number, "timestamp": one.at.UnixMilli()}
		} else {
			status["appid"], status["status"], status["timestamp"] = one.app, number, one.at.UnixMilli()
		}
		statuses = append(statuses, status)
	}
	signHuawei(batch[0].proof, batch[0].forged, header, now)
	return writeReceiptJSON(map[string]any{"statuses": statuses}, header)
}

func writeReceiptJSON(v any, header http.Header) []byte {
	header.Set("Content-Type", "application/json; charset=utf-8")
	raw, err := json.Marshal(v)
	if err != nil {
		return nil // strings and numbers always encode
	}
	return raw
}

func writeReceiptForm(header http.Header, object any, name string, others url.Values) []byte {
	raw := writeReceiptJSON(object, header)
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	others.Set(name, string(raw))
	return []byte(others.Encode())
}

// xiaomiReceipt is Xiaomi's object of one message.
type xiaomiReceipt struct {
	Param     string            `json:"param,omitempty"`
	Type      int               `json:"type"`
	Targets   string            `json:"targets"`
	Bar       string            `json:"barStatus"`
	Timestamp int64             `json:"timestamp"`
	Error     int               `json:"errorCode,omitempty"`
	Replace   map[string]string `json:"replaceTarget,omitempty"`
}

// writeXiaomiReceipts has one object for each message id.
func writeXiaomiReceipts(batch []report, header http.Header, _ time.Time) []byte {
	messages := map[string]*xiaomiReceipt{}
	for _, one := range batch {
		m := messages[one.message]
		if m == nil {
			kind, fault, _ := strings.Cut(one.code, "/")
			m = &xiaomiReceipt{Param: one.param, Bar: "Unknown", Timestamp: one.at.UnixMilli()}
			m.Type, _ = strconv.Atoi(kind)   // ours
			m.Error, _ = strconv.Atoi(fault) // "" is 0
			messages[one.message] = m
		}
		m.Targets = joinTarget(m.Targets, one.token)
		if one.newToken != "" {
			if m.Replace == nil {
				m.Replace = map[string]string{}
			}
			m.Replace[one.token] = one.newToken
		}
	}
	return writeReceiptForm(header, messages, "data", url.Values{})
}

func joinTarget(targets, token string) string {
	if targets == "" {
		return token
	}
	return targets + "," + token
}

// writeOPPOReceipts has one event for each message and token.
func writeOPPOReceipts(batch []report, header http.Header, _ time.Time) []byte {
	events := make([]map[string]string, 0, len(batch))
	for _, one := range batch {
		events = append(events, map[string]string{
			"messageId": one.message, "taskId": one.message, "appId": one.app, "registrationIds": one.token,
			"eventTime": strconv.FormatInt(one.at.UnixMilli(), 10), "param": one.param, "eventType": one.code,
		})
	}
	return writeReceiptJSON(events, header)
}

// vivoReceipt is vivo's object of one task.
type vivoReceipt struct {
	Param   string `json:"param,omitempty"`
	Targets string `json:"targets"`
	Time    int64  `json:"ackTime"`
	Type    string `json:"ackType"`
	SubType string `json:"subAckType,omitempty"`
}

// writeVivoReceipts has one object for each task id.
func writeVivoReceipts(batch []report, header http.Header, _ time.Time) []byte {
	tasks := map[string]*vivoReceipt{}
	for _, one := range batch {
		task := tasks[one.message]
		if task == nil {
			kind, sub, _ := strings.Cut(one.code, "/")
			task = &vivoReceipt{Param: one.param, Time: one.at.UnixMilli(), Type: kind, SubType: sub}
			tasks[one.message] = task
		}
		task.Targets = joinTarget(task.Targets, one.token)
	}
	return writeReceiptJSON(tasks, header)
}

// meizuReceipt is Meizu's object of one message and type.
type meizuReceipt struct {
	Param   string   `json:"param,omitempty"`
	Type    int      `json:"type"`
	Targets []string `json:"targets"`
}

// writeMeizuReceipts has one object for each message id and type.
func writeMeizuReceipts(batch []report, header http.Header, _ time.Time) []byte {
	messages := map[string]*meizuReceipt{}
	for _, one := range batch {
		key := one.message + "-" + one.code
		m := messages[key]
		if m == nil {
			m = &meizuReceipt{Param: one.param}
			m.Type, _ = strconv.Atoi(one.code) // ours
			messages[key] = m
		}
		m.Targets = append(m.Targets, one.token)
	}
	access := batch[0].proof.Secret
	if batch[0].forged {
		access = "another token"
	}
	return writeReceiptForm(header, messages, "cb", url.Values{"access_token": {access}})
}

// typesOf reads a sum of receipt types, each a bit of known; ok is false when
// it has others.
func typesOf(sum string, known int) (wants func(code string) bool, ok bool) {
	mask, err := strconv.Atoi(sum)
	if err != nil || mask <= 0 || mask&^known != 0 {
		return nil, false
	}
	return func(code string) bool {
		kind, _, _ := strings.Cut(code, "/")
		bit, err := strconv.Atoi(kind)
		return err == nil && bit&mask != 0
	}, true
}
