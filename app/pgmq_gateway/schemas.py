"""The schemas of the database that the gateway makes."""

# The functions of Supabase Queues' Data API.
QUEUES = "pgmq_public"
# Management, for service_role.
MANAGEMENT = "pgmq_admin"
# Never exposed.
INTERNAL = "pgmq_gateway"
