package gateway

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// roles is a set of roles, one bit each.
type roles uint32

func only(all ...rousev1.Role) (r roles) {
	for _, role := range all {
		r |= 1 << role
	}
	return r
}

func (r roles) has(role rousev1.Role) bool {
	return role != rousev1.Role_ROLE_UNSPECIFIED && r&(1<<role) != 0
}

// access says who may call a method.
type access struct {
	roles roles
	// fills marks calls that need disk space: they are refused while it is low.
	fills bool
	// leads marks calls that change the catalogue: the node that leads the meta
	// group executes them.
	leads bool
}

var (
	operators = only(rousev1.Role_ROLE_OPERATOR)
	admins    = operators | only(rousev1.Role_ROLE_ADMIN)
	intakes   = admins | only(rousev1.Role_ROLE_INTAKE)
	readers   = admins | only(rousev1.Role_ROLE_VIEWER)
	everyone  = intakes | readers
)

// methods is every method of the API; what is not listed cannot be called.
// Intake answers a low disk per item.
var methods = map[string]access{
	rousev1.IntakeService_Ingest_FullMethodName:      {roles: intakes},
	rousev1.IntakeService_IngestBatch_FullMethodName: {roles: intakes},

	rousev1.DeviceService_BindToken_FullMethodName:   {roles: intakes, fills: true},
	rousev1.DeviceService_UnbindToken_FullMethodName: {roles: intakes},
	rousev1.DeviceService_ListDevices_FullMethodName: {roles: everyone},

	rousev1.UserService_GetOfflineCount_FullMethodName: {roles: everyone},
	rousev1.UserService_SetBadge_FullMethodName:        {roles: intakes, fills: true},
	rousev1.UserService_BanUser_FullMethodName:         {roles: intakes, fills: true},
	rousev1.UserService_SetUserPolicy_FullMethodName:   {roles: intakes, fills: true},
	rousev1.UserService_ListOutcomes_FullMethodName:    {roles: everyone},
	rousev1.UserService_EraseUser_FullMethodName:       {roles: admins},

	rousev1.SettingsService_SetUserSettings_FullMethodName:          {roles: intakes, fills: true},
	rousev1.SettingsService_GetUserSettings_FullMethodName:          {roles: everyone},
	rousev1.SettingsService_SetConversationSettings_FullMethodName:  {roles: intakes, fills: true},
	rousev1.SettingsService_GetConversationSettings_FullMethodName:  {roles: everyone},
	rousev1.SettingsService_ListConversationSettings_FullMethodName: {roles: everyone},

	rousev1.TraceService_Explain_FullMethodName: {roles: everyone},
	rousev1.TraceService_Trace_FullMethodName:   {roles: everyone},

	rousev1.AdminService_CreateApp_FullMethodName:           {roles: operators, fills: true, leads: true},
	rousev1.AdminService_UpdateApp_FullMethodName:           {roles: admins, fills: true, leads: true},
	rousev1.AdminService_GetApp_FullMethodName:              {roles: readers},
	rousev1.AdminService_ListApps_FullMethodName:            {roles: readers},
	rousev1.AdminService_PutCredential_FullMethodName:       {roles: admins, fills: true, leads: true},
	rousev1.AdminService_ListCredentials_FullMethodName:     {roles: readers},
	rousev1.AdminService_DeleteCredential_FullMethodName:    {roles: admins, leads: true},
	rousev1.AdminService_GetCredentialStatus_FullMethodName: {roles: readers},
	rousev1.AdminService_ValidateCredential_FullMethodName:  {roles: admins},
	rousev1.AdminService_TestCredential_FullMethodName:      {roles: admins},
	rousev1.AdminService_PutTemplate_FullMethodName:         {roles: admins, fills: true, leads: true},
	rousev1.AdminService_ListTemplates_FullMethodName:       {roles: readers},
	rousev1.AdminService_DeleteTemplate_FullMethodName:      {roles: admins, leads: true},
	rousev1.AdminService_PutWebhooks_FullMethodName:         {roles: admins, fills: true, leads: true},
	rousev1.AdminService_GetWebhooks_FullMethodName:         {roles: readers},
	rousev1.AdminService_CreateApiKey_FullMethodName:        {roles: admins, fills: true, leads: true},
	rousev1.AdminService_ListApiKeys_FullMethodName:         {roles: readers},
	rousev1.AdminService_RevokeApiKey_FullMethodName:        {roles: admins, leads: true},

	rousev1.BackupService_Backup_FullMethodName: {roles: operators},

	rousev1.ClusterService_GetClusterStatus_FullMethodName: {roles: operators},
	rousev1.ClusterService_DrainNode_FullMethodName:        {roles: operators},
	rousev1.ClusterService_UndrainNode_FullMethodName:      {roles: operators},
	rousev1.ClusterService_RemoveNode_FullMethodName:       {roles: operators},
	rousev1.ClusterService_PlanRebalance_FullMethodName:    {roles: operators},
	rousev1.ClusterService_Rebalance_FullMethodName:        {roles: operators},
	rousev1.ClusterService_RotateGossipKey_FullMethodName:  {roles: operators},
}
