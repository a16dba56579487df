"""What Streamlit runs for every visit, anew at each of its clicks."""

from deploy.console.app import show

show()
