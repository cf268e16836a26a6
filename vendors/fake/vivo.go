package fake

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Vivo is the server API of vivo push: auth, send, saveListPayload and
// pushToList below /message, over TLS. Facts: vivo PUSH-UPS-API,
// "Authentication", "Single push", "Mass push", "Return codes"
// (dev.vivo.com.cn, 2025).
type Vivo struct {
	// Faults hit send, save and list requests, those limited to tokens by the
	// first token of the request; a save request has none.
	Faults Faults
	// AuthFaults hit auth requests.
	AuthFaults Faults
	// Receipts are what is reported of the pushes.
	Receipts *Receipts

	opts    VivoOptions
	server  *Server
	pace    *rate
	auth    vivoAuth
	devices *shelf[VivoPush]
	stats   tally

	mu     sync.Mutex
	day    string      // of Shanghai
	spent  map[int]int // messages of that day by classification
	saves  int         // of that day
	saved  map[string]vivoMessage
	serial int64
}

// VivoOptions configures a fake. Only Cert is needed.
type VivoOptions struct {
	Cert tls.Certificate
	// AnyDevice registers unknown regIds at their first push; otherwise they
	// are unknown to the app: 10302, status 1.
	AnyDevice bool
	// MaxDevices bounds the devices remembered, default 100,000. Pushes to
	// further ones are taken and counted, not recorded.
	MaxDevices int
	// KeepPerDevice bounds the pushes remembered for one device, default 64;
	// the oldest go first.
	KeepPerDevice int
	// PerSecond bounds the messages per second of all apps, default 3000.
	PerSecond int
	// SystemPerDay and OperationalPerDay bound the messages of a day by
	// classification, default 30,000 and 20,000.
	SystemPerDay, OperationalPerDay int
	// SavesPerDay bounds the messages saved for lists in a day, default 10,000.
	SavesPerDay int
	// Receipts configures what is reported of pushes.
	Receipts ReceiptOptions
	// Callbacks are the addresses of the console by callback.id.
	Callbacks map[string]string
	// OnPush is called for each push taken. It must not block.
	OnPush func(VivoPush)
}

// VivoApp is one app of the console.
type VivoApp struct {
	ID                int
	AppKey, AppSecret string
	// NoSystem refuses system messages.
	NoSystem bool
	// Review refuses formal messages.
	Review bool
	// Testers are the regIds that test messages reach.
	Testers []string
}

// VivoPush is one push that the fake took.
type VivoPush struct {
	AppID int
	Token string
	// TaskID is vivo's; RequestID the request's; MessageID the custom key "m".
	TaskID, RequestID, MessageID string
	At                           time.Time
	// Expires is when vivo gives up; zero = at once.
	Expires                  time.Time
	Title, Content, Category string
	NotifyType               int
	Classification           int
	NotifyID                 int
	AddBadge                 bool
	Custom                   map[string]string
	// Raw is the body that held the message.
	Raw []byte
}

// VivoDevice is what the fake knows of one regId.
type VivoDevice struct {
	// Badge is the number on the icon.
	Badge int
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []VivoPush
	// Shown are the notifications drawn, with later ones replacing earlier
	// ones of the same notify id.
	Shown []VivoPush
}

// NewVivo makes a fake without apps; Serve starts it.
func NewVivo(o VivoOptions) *Vivo {
	for _, field := range []struct {
		value *int
		zero  int
	}{
		{&o.MaxDevices, 100_000},
		{&o.KeepPerDevice, 64},
		{&o.PerSecond, 3000},
		{&o.SystemPerDay, 30_000},
		{&o.OperationalPerDay, 20_000},
		{&o.SavesPerDay, 10_000},
	} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	f := &Vivo{
		opts: o, pace: newRate(o.PerSecond, time.Second), devices: newShelf[VivoPush](o.MaxDevices, o.KeepPerDevice),
		spent: map[int]int{}, saved: map[string]vivoMessage{},
	}
	f.auth.apps, f.auth.tokens = map[int]VivoApp{}, map[string]vivoToken{}
	f.Receipts = newReceipts(o.Receipts, receiptForm{
		delivered: "0", invalid: "102/20001", inactive: "102/20006", quota: "100/12000", expired: "100/10012",
		keyed: true, write: writeVivoReceipts,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /message/auth", f.serveAuth)
	for path, take := range map[string]func(VivoApp, vivoRequest) vivoAnswer{
		"POST /message/send":            f.send,
		"POST /message/saveListPayload": f.save,
		"POST /message/pushToList":      f.list,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, take) })
	}
	f.server = NewServer(mux, &o.Cert)
	return f
}

// Serve answers on l until Close, then returns nil.
func (f *Vivo) Serve(l net.Listener) error { return f.server.Serve(l) }

// Close ends the listeners, all connections and the receipts. It must be
// called once.
func (f *Vivo) Close() error {
	f.Receipts.close()
	return f.server.Close()
}

// AddDevice registers a live regId; one that was dead lives again.
func (f *Vivo) AddDevice(token string) { f.devices.set(token, "") }

// SetStatus makes the regId an invalid user of that status: 1 = unknown in the
// app, 2 = uninstalled or unsubscribed, 3 = inactive.
func (f *Vivo) SetStatus(token string, status int) { f.devices.set(token, strconv.Itoa(status)) }

// DropSaved forgets the messages saved for lists, as vivo does after a while.
func (f *Vivo) DropSaved() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.saved)
}

// Device returns a copy of what is known of a regId.
func (f *Vivo) Device(token string) (VivoDevice, bool) {
	received, shown, ok := f.devices.view(token)
	d := VivoDevice{Received: received, Shown: shown}
	for _, p := range received {
		if p.AddBadge {
			d.Badge++
		}
	}
	return d, ok
}

// Stats returns the counts so far. Saving a message and pushing it to a list
// are two requests.
func (f *Vivo) Stats() Tally { return f.stats.read(f.devices.doubles()) }

// vivoAnswer is the body of every answer.
type vivoAnswer struct {
	Result       int        `json:"result"`
	Desc         string     `json:"desc"`
	TaskID       string     `json:"taskId,omitempty"`
	RequestID    string     `json:"requestId,omitempty"`
	AuthToken    string     `json:"authToken,omitempty"`
	InvalidUser  *vivoUser  `json:"invalidUser,omitempty"`
	InvalidUsers []vivoUser `json:"invalidUsers,omitempty"`
}

type vivoUser struct {
	Status int    `json:"status"`
	UserID string `json:"userid"`
}

func (a vivoAnswer) write(w io.Writer) {
	raw, err := json.Marshal(a)
	if err != nil {
		return // strings and numbers always encode
	}
	_, _ = w.Write(raw)
}

const vivoJSON = "application/json;charset=UTF-8"

// VivoRefusal is the fault that answers with a result code.
func VivoRefusal(code int, desc string) Fault {
	return Fault{
		Kind: Answer, Status: http.StatusOK, Header: map[string]string{"content-type": vivoJSON},
		Body: fmt.Sprintf(`{"result":%d,"desc":%q}`, code, desc),
	}
}

// vivoRequest is the body of any of the three requests.
type vivoRequest struct {
	vivoMessage
	RegIDs []string `json:"regIds"`
	TaskID string   `json:"taskId"`

	malformed bool
}

func (q *vivoRequest) first() string {
	if len(q.RegIDs) > 0 {
		return q.RegIDs[0]
	}
	return q.RegID
}

func (f *Vivo) serve(w http.ResponseWriter, r *http.Request, take func(VivoApp, vivoRequest) vivoAnswer) {
	f.stats.opened()
	defer f.stats.open.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away, or sent more than maxBody
	}
	f.stats.requests.Add(1)
	var q vivoRequest
	q.malformed = readVivo(body, &q) != nil || r.Header.Get("Content-Type") != vivoJSON
	q.raw = body
	judge := func() vivoAnswer {
		app, refusal := f.auth.allow(r.Header.Get("authToken"), q.AppID, time.Now())
		answer := vivoAnswer{Result: refusal}
		if refusal == 0 {
			answer = take(app, q)
		}
		if answer.Result != 0 {
			f.stats.count(strconv.Itoa(answer.Result))
		}
		answer.Desc = "refused"
		if answer.Result == 0 {
			answer.Desc = "请求成功"
		}
		return answer
	}
	usual := func() {
		if q.malformed {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		answer := judge()
		w.Header().Set("content-type", vivoJSON)
		answer.write(w)
	}
	if fault, hit := f.Faults.Take(q.first()); hit {
		f.server.Fail(fault, w, r, func() { judge() }, usual)
		return
	}
	usual()
}

func (f *Vivo) send(app VivoApp, q vivoRequest) vivoAnswer {
	if q.RegID == "" {
		return vivoAnswer{Result: 10050}
	}
	now := time.Now()
	code := q.check(app, now)
	if code == 0 {
		code = f.spend(q.Classification, 1, now)
	}
	if code != 0 {
		return vivoAnswer{Result: code}
	}
	task := f.nextTask()
	if user := f.take(app, &q.vivoMessage, q.RegID, task, now); user != nil {
		return vivoAnswer{Result: 10302, InvalidUser: user}
	}
	return vivoAnswer{TaskID: task}
}

// maxSaved bounds the messages saved; beyond, all are forgotten.
const maxSaved = 10_000

func (f *Vivo) save(app VivoApp, q vivoRequest) vivoAnswer {
	now := time.Now()
	if code := q.check(app, now); code != 0 {
		return vivoAnswer{Result: code}
	}
	task := f.nextTask()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(now)
	if f.saves++; f.saves > f.opts.SavesPerDay {
		return vivoAnswer{Result: 10252}
	}
	if len(f.saved) >= maxSaved {
		clear(f.saved)
	}
	f.saved[task] = q.vivoMessage
	return vivoAnswer{TaskID: task}
}

func (f *Vivo) list(app VivoApp, q vivoRequest) vivoAnswer {
	now := time.Now()
	f.mu.Lock()
	m, found := f.saved[q.TaskID]
	f.mu.Unlock()
	code := 0
	switch {
	case len(q.RegIDs) == 0:
		code = 10150
	case q.TaskID == "":
		code = 10151
	case len(q.RegIDs) < 2 || len(q.RegIDs) > 1000:
		code = 10153
	case q.RequestID == "":
		code = 10352
	case !found:
		code = 10155
	default:
		code = f.spend(m.Classification, len(q.RegIDs), now)
	}
	if code != 0 {
		return vivoAnswer{Result: code}
	}
	m.RequestID, m.PushMode = q.RequestID, q.PushMode
	answer := vivoAnswer{RequestID: q.RequestID}
	for _, token := range q.RegIDs {
		if user := f.take(app, &m, token, q.TaskID, now); user != nil {
			// vivo promises no order.
			answer.InvalidUsers = append([]vivoUser{*user}, answer.InvalidUsers...)
		}
	}
	return answer
}

// take shows m on the device of token, or says why that is no valid user.
func (f *Vivo) take(app VivoApp, m *vivoMessage, token, task string, now time.Time) *vivoUser {
	if status := f.status(app, m, token); status != 0 {
		f.stats.count("status " + strconv.Itoa(status))
		return &vivoUser{Status: status, UserID: token}
	}
	f.stats.accepted.Add(1)
	push := m.push(now)
	push.AppID, push.Token, push.TaskID = app.ID, token, task
	key := ""
	if push.NotifyID != 0 {
		key = strconv.Itoa(push.NotifyID)
	}
	f.devices.record(token, push, true, key, push.MessageID, push.RequestID)
	if f.opts.OnPush != nil {
		f.opts.OnPush(push)
	}
	if m.PushMode == 0 { // formal messages alone have receipts
		f.Receipts.taken(sent{
			url: f.address(m.Extra), token: token, message: task, param: m.Extra["callback.param"], expires: push.Expires,
		})
	}
	return nil
}

func (f *Vivo) nextTask() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	return strconv.FormatInt(342982232646537216+f.serial, 10)
}

// turn begins a new day; mu is held.
func (f *Vivo) turn(now time.Time) {
	if day := now.In(shanghai).Format(time.DateOnly); day != f.day {
		f.day, f.saves = day, 0
		clear(f.spent)
	}
}

// spend counts messages against rate and day.
func (f *Vivo) spend(classification, messages int, now time.Time) int {
	if !f.pace.spend(messages, now) {
		return 10072
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(now)
	f.spent[classification] += messages
	switch {
	case classification == 1 && f.spent[1] > f.opts.SystemPerDay:
		return 10073
	case classification == 0 && f.spent[0] > f.opts.OperationalPerDay:
		return 10070
	}
	return 0
}
