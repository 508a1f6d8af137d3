# For: gunicorn -c config/gunicorn.conf.py kafka_rest.server.wsgi:application
# The settings come from the file that KAFKA_REST_CONFIG names and from the environment.
from kafka_rest.server.wsgi import server

globals().update(server().options())
