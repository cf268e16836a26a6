package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/rpc"
)

const appID = "chat"

// settings of the app: what was recalled is overwritten, and the numbers on
// icons fall when messages are read elsewhere.
var settings = &rousev1.AppSettings{RecallOverwrites: true, RefreshBadges: true, TimeZone: "Asia/Shanghai"}

// parcel is a template that some messages name.
var parcel = &rousev1.Template{Name: "parcel", Texts: map[string]*rousev1.TemplateText{
	"":   {TitlePattern: "Your parcel", ContentPattern: "Parcel {0} is at {1}."},
	"zh": {TitlePattern: "快递", ContentPattern: "包裹 {0} 已到 {1}。"},
}}

// world is what the day happens in: a node, its vendors, its IM nodes.
type world struct {
	node   *app.Node
	fakes  *Vendors
	admin  *rpc.Services // with an admin key of the app
	intake string        // API key of the IM nodes
	nodes  map[string]*client.Client
}

// openWorld makes an app, its credentials and its keys.
func openWorld(ctx context.Context, dir string, node *app.Node, fakes *Vendors) (*world, error) {
	secret, err := os.ReadFile(filepath.Join(dir, app.OperatorKeyFile))
	if err != nil {
		return nil, err
	}
	url := "http://" + node.HTTPAddr()
	operator, err := rpc.Open(rpc.Options{URL: url, Key: strings.TrimSpace(string(secret))})
	if err != nil {
		return nil, err
	}
	defer operator.Close()
	if _, err := operator.Admin.CreateApp(ctx, &rousev1.CreateAppRequest{AppId: appID, DisplayName: "Chat", Settings: settings}); err != nil {
		return nil, fmt.Errorf("creating an app: %w", err)
	}
	w := &world{node: node, fakes: fakes, nodes: map[string]*client.Client{}}
	admin, err := newKey(ctx, operator, rousev1.Role_ROLE_ADMIN)
	if err != nil {
		return nil, err
	}
	if w.intake, err = newKey(ctx, operator, rousev1.Role_ROLE_INTAKE); err != nil {
		return nil, err
	}
	if w.admin, err = rpc.Open(rpc.Options{URL: url, Key: admin}); err != nil {
		return nil, err
	}
	for _, c := range fakes.Credentials() {
		if _, err := operator.Admin.PutCredential(ctx, &rousev1.PutCredentialRequest{AppId: appID, Credential: c}); err != nil {
			w.close()
			return nil, fmt.Errorf("adding the credential %s: %w", c.GetName(), err)
		}
		if err := w.enter(ctx, c.GetName()); err != nil {
			w.close()
			return nil, err
		}
	}
	if _, err := w.admin.Admin.PutTemplate(ctx, &rousev1.PutTemplateRequest{Template: parcel}); err != nil {
		w.close()
		return nil, fmt.Errorf("adding a template: %w", err)
	}
	return w, nil
}

func newKey(ctx context.Context, s *rpc.Services, role rousev1.Role) (string, error) {
	r, err := s.Admin.CreateApiKey(ctx, &rousev1.CreateApiKeyRequest{AppId: appID, Role: role})
	if err != nil {
		return "", fmt.Errorf("creating a key: %w", err)
	}
	return r.GetSecret(), nil
}

// close ends the IM nodes that are left.
func (w *world) close() {
	for name := range w.nodes {
		w.kill(name)
	}
	w.admin.Close()
}

// up starts an IM node.
func (w *world) up(ctx context.Context, name string) error {
	c, err := client.Dial(ctx, client.Options{Target: w.node.GRPCAddr(), APIKey: w.intake, Node: name})
	if err != nil {
		return fmt.Errorf("starting the IM node %s: %w", name, err)
	}
	w.nodes[name] = c
	return nil
}

// kill cuts an IM node off, without a goodbye.
func (w *world) kill(name string) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	// What is unanswered is told to its senders.
	_ = w.nodes[name].Close(now)
	delete(w.nodes, name)
}

// crash kills an IM node and waits until the sessions it owned are offline.
func (w *world) crash(ctx context.Context, l *Line) error {
	w.kill(l.Node)
	ctx, cancel := context.WithTimeout(ctx, leaseTTL+10*time.Second)
	defer cancel()
	tick := time.NewTicker(leaseTTL / 20)
	defer tick.Stop()
	for {
		r, err := w.admin.Device.ListDevices(ctx, &rousev1.ListDevicesRequest{UserId: l.User})
		if err != nil {
			return fmt.Errorf("waiting for the end of the lease of %s: %w", l.Node, err)
		}
		online := false
		for _, d := range r.GetDevices() {
			online = online || d.GetOnline() && d.GetNode() == l.Node
		}
		if !online {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the lease of %s did not end: %w", l.Node, context.Cause(ctx))
		}
	}
}

// act does what a line says and answers how an event of it was taken.
func (w *world) act(ctx context.Context, l *Line) (rousev1.ItemStatus, error) {
	none := rousev1.ItemStatus_ITEM_STATUS_UNSPECIFIED
	var err error
	switch l.Do {
	case Bind:
		_, err = w.admin.Device.BindToken(ctx, &rousev1.BindTokenRequest{UserId: l.User, DeviceId: l.Device, Notifier: l.Notifier, Token: l.Token})
	case Unbind:
		_, err = w.admin.Device.UnbindToken(ctx, &rousev1.UnbindTokenRequest{UserId: l.User, DeviceId: l.Device, Notifier: l.Notifier})
	case Policy:
		err = w.policy(ctx, l)
	case Wish:
		err = w.wish(ctx, l)
	case Tap:
		err = w.fakes.tap(l.Vendor, l.Token)
	case Up:
		err = w.up(ctx, l.Node)
	case Crash:
		err = w.crash(ctx, l)
	case Fault:
		err = w.fakes.Disturb(Disturbance{Vendor: l.Vendor, Fault: l.Fault, Times: l.Times, RetryAfter: time.Duration(l.RetryAfter) * time.Second})
	case Heal:
		err = w.fakes.Heal(l.Vendor)
	case Dead:
		err = w.fakes.Kill(l.Vendor, l.Token)
	case Group:
	default:
		return w.send(ctx, l)
	}
	return none, err
}

// send hands the event of a line to its IM node and waits for the verdict.
func (w *world) send(ctx context.Context, l *Line) (rousev1.ItemStatus, error) {
	none := rousev1.ItemStatus_ITEM_STATUS_UNSPECIFIED
	e, err := l.event()
	switch {
	case err != nil:
		return none, err
	case e == nil:
		return none, fmt.Errorf("there is no deed %q", l.Do)
	case w.nodes[l.Node] == nil:
		return none, fmt.Errorf("the IM node %q is not up", l.Node)
	}
	r, err := w.nodes[l.Node].SendWait(ctx, e)
	if err == nil && r.GetStatus() == rousev1.ItemStatus_ITEM_STATUS_REFUSED {
		err = errors.New(r.GetError().GetMessage())
	}
	return r.GetStatus(), err
}
