"""The schemas that the gateway creates in a database."""

# The functions of Supabase Queues' Data API.
QUEUES = "pgmq_public"
# A superset of it: leases, dead letters, settings of queues.
LEASES = "pgmq_api"
# Management, for service_role.
MANAGEMENT = "pgmq_admin"
# Never exposed.
INTERNAL = "pgmq_gateway"
# Never exposed; behind LEASES.
SETTINGS = "pgmq_settings"
