"""Drills: restores into throwaway servers, judged and measured."""
