package app

import (
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/receipt"
)

// openReceipts takes in what vendors report, and gives it to the shards.
func (n *Node) openReceipts() (*receipt.Intake, error) {
	return receipt.New(receipt.Options{
		Ring: n.ring, Catalog: n.catalog, Report: n.shards.Report, Writable: n.store.Writable,
		PerSecond: n.o.Config.Receipts.PerSecond, Logger: n.log, Metrics: n.registry,
		Reader: func(c *rousev1.Credential) receipt.Reader {
			if v := vendorOf(c, "", nil); v != nil {
				return v.receipts
			}
			return nil
		},
	})
}

// receiptPath is where a credential's receipts come in on the HTTP port; empty =
// its vendor sends none. It is secret.
func (n *Node) receiptPath(app string, c *rousev1.Credential) string {
	if v := vendorOf(c, "", nil); v == nil || v.receipts == nil {
		return ""
	}
	return receipt.Path(n.ring, app, c)
}

// receiptURL is the public address that vendors report to on the pushes of a
// credential, of the same length for every app; empty = this server has none.
func (n *Node) receiptURL(app string, c *rousev1.Credential) string {
	public, path := n.o.Config.Receipts.PublicURL, n.receiptPath(app, c)
	if public == "" || path == "" {
		return ""
	}
	return strings.TrimSuffix(public, "/") + path
}
