"""The schemas that the gateway creates in a database."""

# The functions of Supabase Queues' Data API.
QUEUES = "pgmq_public"
# Management, for service_role.
MANAGEMENT = "pgmq_admin"
# Never exposed.
INTERNAL = "pgmq_gateway"
