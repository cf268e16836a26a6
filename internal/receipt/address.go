package receipt

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"

	"golang.org/x/time/rate"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

// Pattern of the addresses, for http.ServeMux.
const Pattern = "POST /receipts/{vendor}/{secret}"

// A secret is made of a keyed hash: idBytes find the address, the others prove
// that the caller was told it. It needs no storage, and stays the same for as
// long as the credential has its name and its vendor.
const (
	idBytes     = 8
	secretBytes = 24
)

type (
	id     [idBytes]byte
	secret [secretBytes]byte
)

// Path is the address of a credential's receipts on the HTTP port. It is secret.
func Path(ring *seal.Ring, app string, c *rousev1.Credential) string {
	s := secretOf(ring, app, c)
	return "/receipts/" + string(catalog.Vendor(c)) + "/" + base64.RawURLEncoding.EncodeToString(s[:])
}

func secretOf(ring *seal.Ring, app string, c *rousev1.Credential) secret {
	sum := ring.Sum("receipts", []byte(app), []byte(c.GetName()), []byte(catalog.Vendor(c)))
	return secret(sum[:secretBytes])
}

func (s secret) id() id { return id(s[:idBytes]) }

// address is where the receipts of one credential come in.
type address struct {
	app, notifier, vendor string
	secret                secret
	read                  Reader
	bounds
	rate   *rate.Limiter
	warned *rate.Sometimes
}

// find is the address of a path; nil = there is none. It takes the same time
// whether the secret is nearly right or not at all.
func (in *Intake) find(vendor, text string) *address {
	var given secret
	if len(text) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return nil
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(given[:], []byte(text)); err != nil {
		return nil
	}
	in.mu.RLock()
	a := in.addresses[given.id()]
	in.mu.RUnlock()
	known := a
	if known == nil {
		known = &address{}
	}
	if subtle.ConstantTimeCompare(known.secret[:], given[:]) != 1 || a == nil || a.vendor != vendor {
		return nil
	}
	return a
}

// reader is how a credential's vendor reports. While the one that it replaced
// helps out, the proofs of that are taken too.
func (in *Intake) reader(c catalog.Change) Reader {
	read := in.Reader(c.Credential)
	if read == nil || c.Previous == nil {
		return read
	}
	former := in.Reader(c.Previous.Credential)
	if former == nil {
		return read
	}
	return func(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
		receipts, err := read(r)
		if errors.Is(err, vendors.ErrReceiptForged) && r.Now.Before(c.Previous.Until) {
			if receipts, err := former(r); err == nil {
				return receipts, nil
			}
		}
		return receipts, err
	}
}

// watch keeps the addresses those of the credentials there are.
func (in *Intake) watch(c catalog.Change) {
	name := credential{c.App, c.Name}
	var next *address
	if c.Credential != nil {
		if read := in.reader(c); read != nil {
			next = &address{
				app: c.App, notifier: c.Name, vendor: string(catalog.Vendor(c.Credential)), secret: secretOf(in.Ring, c.App, c.Credential), read: read,
				bounds: newBounds(maxRequests/4, maxReceipts/4),
				rate:   rate.NewLimiter(rate.Limit(in.PerSecond), max(in.PerSecond, maxInRequest)),
				warned: &rate.Sometimes{Interval: warnEvery},
			}
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	old, was := in.named[name]
	if was {
		if next != nil && old.secret == next.secret {
			next.bounds, next.rate = old.bounds, old.rate // a change grants no second burst
		}
		delete(in.addresses, old.secret.id())
		delete(in.named, name)
	}
	if next != nil {
		in.addresses[next.secret.id()], in.named[name] = next, next
	}
}
