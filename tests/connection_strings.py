"""Connection strings as providers of Postgres publish them, with made-up names."""

# CA stands for the path of a file.
PUBLISHED = {
    "Neon": "postgresql://neondb_owner:npg_Ab1@ep-cool-1.us-east-2.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
    "Neon, pooled": "postgresql://alex:AbC@ep-cool-1-pooler.us-east-2.aws.neon.tech/dbname?sslmode=require&channel_binding=require",
    "Supabase, direct": "postgresql://postgres:s3cr%40t@db.abcdefghijklmnop.supabase.co:5432/postgres",
    "Supabase, session": "postgres://postgres.abcdefghijkl:s3cret@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
    "Supabase, transaction": "postgres://postgres.abcdefghijkl:s3cret@aws-0-eu-west-1.pooler.supabase.com:6543/postgres",
    "RDS": "host=app.c1.us-west-2.rds.amazonaws.com port=5432 dbname=app user=app sslrootcert=CA sslmode=verify-full",
    "RDS, URI": "postgresql://app:s3cret@app.c1.us-west-2.rds.amazonaws.com:5432/app?sslmode=verify-full&sslrootcert=CA",
    "Heroku": "postgres://u4bc:p5de@ec2-54-83-1-2.compute-1.amazonaws.com:5432/d6fg",
    "Heroku, with TLS": "postgres://u4bc:p5de@ec2-54-83-1-2.compute-1.amazonaws.com:5432/d6fg?sslmode=require",
    "Cloud SQL": "postgresql://app:s3cret@/app?host=/cloudsql/project:region:instance",
    "Cloud SQL, encoded": "postgresql://app:s3cret@%2Fcloudsql%2Fproject%3Aregion%3Ainstance/app",
    "Azure": "host=app.postgres.database.azure.com port=5432 dbname=db user=app@app password=s3cret sslmode=require",
    "Azure, URI": "postgresql://app%40app:s3cret@app.postgres.database.azure.com:5432/postgres?sslmode=require",
    "Crunchy Bridge": "postgres://application:s3cret@p.a1b2c3.db.postgresbridge.com:5432/postgres",
    "Unix socket": "postgresql:///app?host=/var/run/postgresql",
    "keywords": r"host = localhost port=5432 dbname=app user='authenticator' password='it\'s' connect_timeout=10",
    "several hosts": "postgresql://app:s3cret@db1:5432,db2:5433/app?target_session_attrs=read-write&load_balance_hosts=random",
}  # fmt: skip
