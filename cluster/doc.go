// Package cluster knows which nodes are alive, and brings actor messages to
// them. What it says of the living may be wrong for as long as a failure takes
// to be noticed; who may decide about a user is settled by cluster/replica.
package cluster

import _ "github.com/hashicorp/memberlist"
